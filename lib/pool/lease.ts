import type { Linked } from '../common/linked-list.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Member } from './member.js';

export type LeaseState = 'held' | 'released' | 'reclaimed';

/** What a lease gives back to. */
export interface LeaseOwner<R> {
  giveBack(lease: Lease<R>, healthy: boolean): void;
}

/**
 * A borrowed slot, or a whole resource. Once released or reclaimed it is fenced: each later use throws, so
 * what it pointed to can be lent to somebody else without either noticing.
 */
export class Lease<R> implements Linked<Lease<R>> {
  /** Whether the whole resource is lent, and not just a slot. */
  readonly isWhole: boolean;
  /** When it was lent, on the pool's clock, less the time the process was frozen. */
  since: number;
  /** Where it was borrowed, when the caller said. */
  readonly origin: Error | undefined;
  previous: Lease<R> | undefined = undefined;
  next: Lease<R> | undefined = undefined;
  list: object | undefined = undefined;
  /** Whether the pool has reported it as held too long. */
  isReported = false;
  readonly #owner: LeaseOwner<R>;
  readonly #member: Member<R>;
  #state: LeaseState = 'held';

  constructor(owner: LeaseOwner<R>, member: Member<R>, isWhole: boolean, since: number, origin: Error | undefined) {
    this.#owner = owner;
    this.#member = member;
    this.isWhole = isWhole;
    this.since = since;
    this.origin = origin;
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** The pool's own handle; not for borrowers. */
  get member(): Member<R> {
    return this.#member;
  }

  /** What was borrowed. @throws PooledTcpError `PTCP_LEASE_RELEASED`, `PTCP_LEASE_RECLAIMED` */
  get resource(): R {
    this.assertHeld('used');
    return this.#member.resource;
  }

  /** Gives the resource back. @throws PooledTcpError `PTCP_LEASE_RELEASED`, `PTCP_LEASE_RECLAIMED` */
  release(): void {
    this.assertHeld('released again');
    this.#state = 'released';
    this.#owner.giveBack(this, true);
  }

  /** Gives the resource back to be destroyed, since its state is not fit for the next borrower. */
  discard(): void {
    this.assertHeld('discarded');
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
