import { Alarm } from '../common/alarm.js';
import type { Clock } from '../common/clock.js';
import { LinkedList, type Linked } from '../common/linked-list.js';
import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { DialFailure } from './dial-gate.js';
import type { Lease } from './lease.js';
import { sumGauges, type PoolGauges, type PoolStats } from './stats.js';

/** What a caller asks for. */
export interface Wanted {
  /** The whole resource, and not just a slot on it. */
  readonly whole: boolean;
  readonly origin: Error | undefined;
}

/** One caller that waits for a resource. Settled once: by a lease or by an error. */
export class Waiter<R> implements Linked<Waiter<R>> {
  readonly wanted: Wanted;
  readonly since: number;
  readonly deadline: number;
  readonly resolve: (lease: Lease<R>) => void;
  readonly reject: (error: PooledTcpError) => void;
  /** Called when the deadline has passed; the waiter has left the queue. */
  readonly onExpired: (waiter: Waiter<R>) => void;
  /** Place in the order of arrival. */
  order = 0;
  /** Takes the listener off the caller's signal. */
  detach: (() => void) | undefined = undefined;
  previous: Waiter<R> | undefined = undefined;
  next: Waiter<R> | undefined = undefined;
  list: object | undefined = undefined;

  constructor(
    wanted: Wanted,
    since: number,
    deadline: number,
    resolve: (lease: Lease<R>) => void,
    reject: (error: PooledTcpError) => void,
    onExpired: (waiter: Waiter<R>) => void,
  ) {
    this.wanted = wanted;
    this.since = since;
    this.deadline = deadline;
    this.resolve = resolve;
    this.reject = reject;
    this.onExpired = onExpired;
  }
}

/** What a queue asks of the pools that serve it. */
export interface WaitQueuePool {
  /** Resources on their way: dials and validations. */
  readonly supply: number;
  /** The dial that failed last, while none has succeeded since. */
  readonly failure: DialFailure | undefined;
  stats(): PoolStats;
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
  readonly #pools = new Set<WaitQueuePool>();
  readonly #clock: Clock;
  readonly #deadlines: Alarm;
  #arrivals = 0;
  #isPumping = false;
  #mustRepeat = false;
  #isEnding = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#deadlines = new Alarm(clock, () => {
      this.#expire();
    });
  }

  get size(): number {
    return this.slots.size + this.wholes.size;
  }

  /** Resources on their way in all pools. */
  get supply(): number {
    let supply = 0;
    for (const pool of this.#pools) supply += pool.supply;
    return supply;
  }

  /** Whether no pool goes on beyond serving those who wait. */
  get isDraining(): boolean {
    if (this.#isEnding) return true;
    for (const pool of this.#pools) if (!pool.isDraining) return false;
    return true;
  }

  /** All pools are about to drain: until then, none takes the one beside it for one that goes on. */
  drain(): void {
    this.#isEnding = true;
  }

  /** Counts of all pools together, and the latest of their failed dials. */
  situation(): { stats: PoolGauges; pools: number; failure: DialFailure | undefined } {
    const pools = [...this.#pools];
    const failures = pools.map(({ failure }) => failure).filter((failure) => failure !== undefined);
    return {
      stats: sumGauges(pools.map((pool) => pool.stats())),
      pools: pools.length,
      failure: failures.sort((a, b) => b.at - a.at)[0],
    };
  }

  join(pool: WaitQueuePool): void {
    this.#pools.add(pool);
  }

  /** Takes a pool out; true when it was the last, and nobody is left to serve those who wait. */
  leave(pool: WaitQueuePool): boolean {
    this.#pools.delete(pool);
    if (this.#pools.size > 0) return false;
    this.#deadlines.clear();
    return true;
  }

  add(waiter: Waiter<R>): void {
    waiter.order = this.#arrivals++;
    (waiter.wanted.whole ? this.wholes : this.slots).addLast(waiter);
    this.#deadlines.setAt(waiter.deadline);
  }

  /** Takes a waiter out; false when it has been served or has left already. */
  remove(waiter: Waiter<R>): boolean {
    if (!(waiter.wanted.whole ? this.wholes : this.slots).remove(waiter)) return false;
    waiter.detach?.();
    return true;
  }

  /** Lets every other pool serve or dial for those who wait, free what it kept for them, or close. */
  pumpOthers(except: WaitQueuePool): void {
    if (this.#isPumping) {
      // A pool further down the loop has changed what those before it saw.
      this.#mustRepeat = true;
      return;
    }
    this.#isPumping = true;
    for (const pool of this.#pools) if (pool !== except) pool.pump();
    while (this.#mustRepeat) {
      this.#mustRepeat = false;
      for (const pool of this.#pools) pool.pump();
    }
    this.#isPumping = false;
  }

  *[Symbol.iterator](): Generator<Waiter<R>, void, undefined> {
    yield* this.slots;
    yield* this.wholes;
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const waiter of this) {
      if (waiter.deadline > now) this.#deadlines.setAt(waiter.deadline);
      else if (this.remove(waiter)) waiter.onExpired(waiter);
    }
  }
}
