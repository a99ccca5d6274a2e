import { Deferred } from '../../lib/common/deferred.js';
import { PooledTcpError } from '../../lib/errors/pooled-tcp-error.js';
import type { Factory } from '../../lib/pool/factory.js';
import type { CloseReason } from '../../lib/pool/stats.js';

/** What a {@link FakeFactory} makes. */
export class FakeResource {
  readonly id: number;
  /** What the pool hears when it dies. */
  readonly lose: (message?: string) => void;
  isLost = false;
  /** On the pool's clock; 0: never. */
  lastAliveAt = 0;

  constructor(id: number, lost: (reason: PooledTcpError) => void) {
    this.id = id;
    this.lose = (message = 'reset by peer') => {
      lost(new PooledTcpError('PTCP_CONNECTION_LOST', message));
    };
  }
}

/** One attempt to open a resource, decided on by the test. */
export class FakeDial {
  readonly resource: FakeResource;
  readonly signal: AbortSignal;
  readonly #result = new Deferred<FakeResource>();
  readonly #settle: (resource?: FakeResource) => void;

  constructor(
    id: number,
    signal: AbortSignal,
    lost: (reason: PooledTcpError) => void,
    settle: (resource?: FakeResource) => void,
  ) {
    this.resource = new FakeResource(id, lost);
    this.signal = signal;
    this.#settle = settle;
    signal.addEventListener('abort', () => {
      this.reject(new PooledTcpError('PTCP_CONNECT_FAILED', 'the dial was aborted', { cause: signal.reason }));
    });
  }

  get promise(): Promise<FakeResource> {
    return this.#result.promise;
  }

  succeed(): FakeResource {
    this.#settle(this.resource);
    this.#result.resolve(this.resource);
    return this.resource;
  }

  reject(error: unknown = new PooledTcpError('PTCP_CONNECT_FAILED', 'connection refused')): void {
    this.#settle();
    this.#result.reject(error);
  }
}

/** One question whether a resource works, answered by the test. */
export class FakeValidation {
  readonly resource: FakeResource;
  isAnswered = false;
  readonly #answer = new Deferred();

  constructor(resource: FakeResource) {
    this.resource = resource;
  }

  get promise(): Promise<void> {
    return this.#answer.promise;
  }

  pass(): void {
    this.isAnswered = true;
    this.#answer.resolve();
  }

  fail(): void {
    this.isAnswered = true;
    this.#answer.reject(new Error('no sign of life'));
  }
}

/** Opens nothing: each dial and each validation waits for the test, unless it says otherwise. */
export class FakeFactory implements Factory<FakeResource> {
  /** Every dial so far. */
  readonly dials: FakeDial[] = [];
  /** Dials that are neither done nor aborted, the oldest first. */
  readonly pending = new Set<FakeDial>();
  readonly validations: FakeValidation[] = [];
  readonly destroyed: { readonly id: number; readonly reason: CloseReason }[] = [];
  readonly validate?: (resource: FakeResource) => Promise<void>;
  readonly lastAliveAt?: (resource: FakeResource) => number;
  /** Dials succeed, or fail, by themselves. */
  dialling: 'by hand' | 'succeeds' | 'fails' = 'by hand';
  /** Most dials and resources there were at once. */
  peak = 0;
  readonly #open = new Set<FakeResource>();

  constructor({
    validates = false,
    dialling = 'by hand',
  }: { validates?: boolean; dialling?: FakeFactory['dialling'] } = {}) {
    this.dialling = dialling;
    if (!validates) return;
    this.validate = (resource) => {
      const validation = new FakeValidation(resource);
      this.validations.push(validation);
      return validation.promise;
    };
    this.lastAliveAt = (resource) => resource.lastAliveAt;
  }

  /** Resources opened that are neither destroyed nor lost. */
  get open(): number {
    return this.#open.size;
  }

  get openResources(): readonly FakeResource[] {
    return [...this.#open];
  }

  isOpen(resource: FakeResource): boolean {
    return this.#open.has(resource);
  }

  /** Why resources were destroyed, in order. */
  get reasons(): CloseReason[] {
    return this.destroyed.map(({ reason }) => reason);
  }

  create(signal: AbortSignal, lost: (reason: PooledTcpError) => void): Promise<FakeResource> {
    const dial = new FakeDial(
      this.dials.length + 1,
      signal,
      (reason) => {
        dial.resource.isLost = true;
        this.#open.delete(dial.resource);
        lost(reason);
      },
      (resource) => {
        this.pending.delete(dial);
        if (resource !== undefined) this.#open.add(resource);
      },
    );
    this.dials.push(dial);
    this.pending.add(dial);
    this.peak = Math.max(this.peak, this.#open.size + this.pending.size);
    if (this.dialling === 'succeeds') dial.succeed();
    if (this.dialling === 'fails') dial.reject();
    return dial.promise.then((resource) => {
      if (!resource.isLost) this.#open.add(resource);
      return resource;
    });
  }

  destroy(resource: FakeResource, reason: CloseReason): void {
    if (!this.#open.delete(resource))
      throw new Error(`resource ${resource.id} was destroyed twice, or after it was lost`);
    this.destroyed.push({ id: resource.id, reason });
  }

  /** The dial that was started first of those under way. */
  get next(): FakeDial {
    const [dial] = this.pending;
    if (dial === undefined) throw new Error('no dial is under way');
    return dial;
  }
}
