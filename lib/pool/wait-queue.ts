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
  /** What pins the caller to one of the pools that serve the queue; undefined where any will do. */
  readonly key?: string | undefined;
}

/** Callers for one slot, and for a whole resource; each in order of arrival. */
export class WaitLine<R> {
  readonly slots = new LinkedList<Waiter<R>>();
  readonly wholes = new LinkedList<Waiter<R>>();

  get size(): number {
    return this.slots.size + this.wholes.size;
  }

  add(waiter: Waiter<R>): void {
    (waiter.wanted.whole ? this.wholes : this.slots).addLast(waiter);
  }

  remove(waiter: Waiter<R>): boolean {
    return (waiter.wanted.whole ? this.wholes : this.slots).remove(waiter);
  }

  *[Symbol.iterator](): Generator<Waiter<R>, void, undefined> {
    yield* this.slots;
    yield* this.wholes;
  }
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
  /** Where it stands. */
  line: WaitLine<R> | undefined = undefined;
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
export interface WaitQueuePool<R> {
  /** Resources on their way to those who wait for any pool: dials and validations. */
  readonly supply: number;
  /** Those who wait for this pool only. */
  readonly pinned: WaitLine<R>;
  /** Resources asked for a sign of life before they are lent. */
  readonly validating: number;
  /** Whether it serves those who wait for any pool. */
  readonly servesShared: boolean;
  /** Free slots of connections that are open and only have to give a sign of life before they are lent. */
  readonly slotsInQuestion: number;
  /** The dial that failed last, while none has succeeded since. */
  readonly lastFailure: DialFailure | undefined;
  stats(): PoolStats;
  readonly isDraining: boolean;
  /** Serves waiters, and dials for them where it may. */
  pump(): void;
}

/**
 * Callers that wait, in order of arrival. Several pools may serve one queue: whichever has a free slot first
 * serves the longest waiter, so nobody waits for one particular dial or one particular endpoint. But for those who
 * are pinned to a pool: they stand in a line of its own, and it serves whoever came first in either.
 */
export class WaitQueue<R> {
  /** Those who take what comes first. */
  readonly shared = new WaitLine<R>();
  readonly #pools = new Set<WaitQueuePool<R>>();
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

  /** All that wait, for any pool or for one. */
  get size(): number {
    let { size } = this.shared;
    for (const { pinned } of this.#pools) size += pinned.size;
    return size;
  }

  /**
   * Those who wait for a slot to come free, or for a connection to be opened. The others have a slot on an open
   * connection that only has to give a sign of life: after a moment of silence that is a whole burst, and no overload.
   *
   * @param line in which one more would wait for a slot, if any
   */
  inNeedWith(line?: WaitLine<R>): number {
    let rest = this.shared.wholes.size;
    let shared = this.shared.slots.size + Number(line === this.shared);
    for (const { pinned, slotsInQuestion, servesShared } of this.#pools) {
      const spare = slotsInQuestion - pinned.slots.size - Number(line === pinned);
      rest += pinned.wholes.size + Math.max(0, -spare);
      if (servesShared) shared -= Math.max(0, spare);
    }
    return rest + Math.max(0, shared);
  }

  /** Resources on their way in all pools. */
  get supply(): number {
    let supply = 0;
    for (const pool of this.#pools) supply += pool.supply;
    return supply;
  }

  /** Resources asked for a sign of life, in all pools. */
  get validating(): number {
    let validating = 0;
    for (const pool of this.#pools) validating += pool.validating;
    return validating;
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
  situation(): { stats: PoolGauges; pools: number; lastFailure: DialFailure | undefined } {
    const pools = [...this.#pools];
    const failures = pools.map(({ lastFailure }) => lastFailure).filter((failure) => failure !== undefined);
    return {
      stats: sumGauges(pools.map((pool) => pool.stats())),
      pools: pools.length,
      lastFailure: failures.sort((a, b) => b.at - a.at)[0],
    };
  }

  join(pool: WaitQueuePool<R>): void {
    this.#pools.add(pool);
  }

  /** Takes a pool out; true when it was the last, and nobody is left to serve those who wait. */
  leave(pool: WaitQueuePool<R>): boolean {
    this.#pools.delete(pool);
    if (this.#pools.size > 0) return false;
    this.#deadlines.clear();
    return true;
  }

  /** @param line the shared one, or that of the pool to which the waiter is pinned */
  add(waiter: Waiter<R>, line: WaitLine<R>): void {
    waiter.order = this.#arrivals++;
    waiter.line = line;
    line.add(waiter);
    this.#deadlines.setAt(waiter.deadline);
  }

  /** Takes a waiter out; false when it has been served or has left already. */
  remove(waiter: Waiter<R>): boolean {
    if (waiter.line?.remove(waiter) !== true) return false;
    waiter.detach?.();
    return true;
  }

  /** Pins a waiter to another pool. It stands last there: its place in time is kept among those who came with it. */
  move(waiter: Waiter<R>, line: WaitLine<R>): void {
    if (waiter.line?.remove(waiter) !== true) return;
    waiter.line = line;
    line.add(waiter);
  }

  /** Lets every other pool serve or dial for those who wait, free what it kept for them, or close. */
  pumpOthers(except?: WaitQueuePool<R>): void {
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
    yield* this.shared;
    for (const { pinned } of this.#pools) yield* pinned;
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const waiter of this) {
      if (waiter.deadline > now) this.#deadlines.setAt(waiter.deadline);
      else if (this.remove(waiter)) waiter.onExpired(waiter);
    }
  }
}
