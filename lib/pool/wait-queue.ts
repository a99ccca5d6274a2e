import type { Timer } from '../common/clock.js';
import { LinkedList, type Linked } from '../common/linked-list.js';
import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Lease } from './lease.js';

/** One caller that waits for a resource. Settled once: by a lease or by an error. */
export class Waiter<R> implements Linked<Waiter<R>> {
  /** The caller asked for the whole resource. */
  readonly wantsWhole: boolean;
  /** The same, where that is more than one slot: it then waits in a line of its own. */
  readonly isWhole: boolean;
  readonly since: number;
  readonly origin: Error | undefined;
  readonly resolve: (lease: Lease<R>) => void;
  readonly reject: (error: PooledTcpError) => void;
  /** Place in the order of arrival. */
  order = 0;
  timer: Timer | undefined = undefined;
  /** Takes the listener off the caller's signal. */
  detach: (() => void) | undefined = undefined;
  previous: Waiter<R> | undefined = undefined;
  next: Waiter<R> | undefined = undefined;
  list: object | undefined = undefined;

  constructor(
    wantsWhole: boolean,
    isWhole: boolean,
    since: number,
    origin: Error | undefined,
    resolve: (lease: Lease<R>) => void,
    reject: (error: PooledTcpError) => void,
  ) {
    this.wantsWhole = wantsWhole;
    this.isWhole = isWhole;
    this.since = since;
    this.origin = origin;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** What a queue asks of the pools that serve it. */
export interface WaitQueuePool {
  /** Resources on their way: dials and validations. */
  readonly supply: number;
  readonly isDraining: boolean;
  /** Serves waiters, and dials for them where it may. */
  pump(): void;
}

/**
 * Callers that wait, in order of arrival. Several pools may serve one queue: whichever has a free slot first
 * serves the longest waiter, so nobody waits for one particular dial or one particular endpoint.
 */
export class WaitQueue<R> {
  /** Waiters for one slot, and for a whole resource; each in order of arrival. */
  readonly slots = new LinkedList<Waiter<R>>();
  readonly wholes = new LinkedList<Waiter<R>>();
  readonly pools = new Set<WaitQueuePool>();
  #arrivals = 0;
  #isPumping = false;

  get size(): number {
    return this.slots.size + this.wholes.size;
  }

  /** Resources on their way in all pools. */
  get supply(): number {
    let supply = 0;
    for (const pool of this.pools) supply += pool.supply;
    return supply;
  }

  add(waiter: Waiter<R>): void {
    waiter.order = this.#arrivals++;
    (waiter.isWhole ? this.wholes : this.slots).addLast(waiter);
  }

  /** Takes a waiter out; false when it has been served or has left already. */
  remove(waiter: Waiter<R>): boolean {
    return (waiter.isWhole ? this.wholes : this.slots).remove(waiter);
  }

  /** Lets every other pool serve or dial for those who wait. */
  pumpOthers(except: WaitQueuePool): void {
    if (this.size === 0 || this.pools.size === 1 || this.#isPumping) return;
    this.#isPumping = true;
    for (const pool of this.pools) if (pool !== except) pool.pump();
    this.#isPumping = false;
  }

  *[Symbol.iterator](): Generator<Waiter<R>, void, undefined> {
    yield* this.slots;
    yield* this.wholes;
  }
}
