import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { DialGate } from './dial-gate.js';
import type { Factory } from './factory.js';

/** Dials at once for a pool that keeps what it opens: they are few, and no call needs more than one of them. */
const MAX_PARALLEL_DIALS = 4;
/** The same where the peer may be gone: one asks, and the rest follow when it has answered. */
const MAX_DOUBTFUL_DIALS = 1;

/** What becomes of dials. */
export interface DialOutcomes<R> {
  /** One succeeded. Returns what is to be called when the resource dies. */
  opened(resource: R): (reason: PooledTcpError) => void;
  failed(error: unknown): void;
}

/** That a resource has died. It stays for as long as the resource, and so holds nothing of the dial. */
class Loss {
  /** It died before anybody was to be told. */
  early: PooledTcpError | undefined;
  told: ((reason: PooledTcpError) => void) | undefined;

  readonly report = (reason: PooledTcpError): void => {
    if (this.told === undefined) this.early = reason;
    else this.told(reason);
  };
}

/** Resources being opened. A dial ends once: opened, failed, or abandoned; what comes in late is destroyed. */
export class Dials<R> {
  readonly #factory: Factory<R>;
  readonly #gate: DialGate;
  readonly #outcomes: DialOutcomes<R>;
  readonly #mostParallel: number;
  readonly #underWay = new Set<AbortController>();

  constructor(factory: Factory<R>, gate: DialGate, outcomes: DialOutcomes<R>, mostParallel = MAX_PARALLEL_DIALS) {
    this.#factory = factory;
    this.#mostParallel = mostParallel;
    this.#gate = gate;
    this.#outcomes = outcomes;
  }

  get size(): number {
    return this.#underWay.size;
  }

  /**
   * How many may begin now, when so many places are free. A restarted server is not met by a herd: each client
   * that has lost it asks with one dial, and a failed one is followed by one.
   */
  room(places: number): number {
    if (!this.#gate.isOpen) return 0;
    return Math.min(places, this.#gate.isTrusted ? this.#mostParallel : MAX_DOUBTFUL_DIALS) - this.size;
  }

  begin(): void {
    const dial = new AbortController();
    this.#underWay.add(dial);
    const loss = new Loss();
    this.#factory.create(dial.signal, loss.report).then(
      (resource) => {
        const isWanted = this.#underWay.delete(dial);
        if (loss.early === undefined && isWanted) loss.told = this.#outcomes.opened(resource);
        else if (loss.early === undefined) this.#factory.destroy(resource, 'shutdown');
        else if (isWanted) this.#outcomes.failed(loss.early);
      },
      (error: unknown) => {
        if (this.#underWay.delete(dial)) this.#outcomes.failed(error);
      },
    );
  }

  /** Gives dials up until at most so many are left. */
  abandonDownTo(count: number): void {
    for (const dial of this.#underWay) {
      if (this.size <= count) return;
      this.#underWay.delete(dial);
      dial.abort(new PooledTcpError('PTCP_POOL_CLOSED', 'the pool does not need the connection any more'));
    }
  }
}
