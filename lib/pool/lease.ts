import type { Linked } from '../common/linked-list.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Member } from './member.js';

export type LeaseState = 'held' | 'released' | 'reclaimed';

/** What a lease gives back to. */
export interface LeaseOwner<R> {
  giveBack(lease: Lease<R>, isHealthy: boolean): void;
}

/**
 * A borrowed slot. Once released or reclaimed it is fenced: each later use throws, so what it pointed to can be
 * lent to somebody else without either noticing.
 */
export class Lease<R> {
  /** The pool's own handle; not for borrowers. */
  readonly member: Member<R>;
  readonly #owner: LeaseOwner<R>;
  #state: LeaseState = 'held';

  constructor(owner: LeaseOwner<R>, member: Member<R>) {
    this.#owner = owner;
    this.member = member;
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** What was borrowed. @throws PooledTcpError `PTCP_LEASE_RELEASED`, `PTCP_LEASE_RECLAIMED` */
  get resource(): R {
    if (this.#state !== 'held') this.assertHeld();
    return this.member.resource;
  }

  /** Gives the resource back. @throws PooledTcpError `PTCP_LEASE_RELEASED`, `PTCP_LEASE_RECLAIMED` */
  release(): void {
    if (this.#state !== 'held') this.assertHeld('released again');
    this.#state = 'released';
    this.#owner.giveBack(this, true);
  }

  /** Gives the resource back to be destroyed, since its state is not fit for the next borrower. */
  discard(): void {
    if (this.#state !== 'held') this.assertHeld('discarded');
    this.#state = 'released';
    this.#owner.giveBack(this, false);
  }

  /** The pool takes it back; false when it was not held any more. */
  reclaim(): boolean {
    if (this.#state !== 'held') return false;
    this.#state = 'reclaimed';
    return true;
  }

  /** @throws PooledTcpError `PTCP_LEASE_RELEASED`, `PTCP_LEASE_RECLAIMED` */
  assertHeld(how = 'used'): void {
    if (this.#state === 'held') return;
    throw this.#state === 'released'
      ? new PooledTcpError('PTCP_LEASE_RELEASED', `the lease was ${how} after it had been released`)
      : new PooledTcpError(
          'PTCP_LEASE_RECLAIMED',
          `the lease was ${how} after the pool had reclaimed it, because it was held too long`,
        );
  }
}

/** A whole resource, borrowed: watched for being held too long. */
export class WholeLease<R> extends Lease<R> implements Linked<WholeLease<R>> {
  /** When it was lent, on the pool's clock, less the time the process was frozen. */
  since: number;
  /** Where it was borrowed, when the caller said. */
  readonly origin: Error | undefined;
  /** Whether it has been reported as held too long. */
  isReported = false;
  previous: WholeLease<R> | undefined = undefined;
  next: WholeLease<R> | undefined = undefined;
  list: object | undefined = undefined;

  constructor(owner: LeaseOwner<R>, member: Member<R>, since: number, origin: Error | undefined) {
    super(owner, member);
    this.since = since;
    this.origin = origin;
  }
}
