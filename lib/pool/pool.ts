import { Alarm } from '../common/alarm.js';
import type { BackoffSettings } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import { Deferred } from '../common/deferred.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { DialGate, type DialFailure } from './dial-gate.js';
import { Dials } from './dials.js';
import type { Factory } from './factory.js';
import { Lease, WholeLease, type LeaseOwner } from './lease.js';
import { LeaseWatch } from './lease-watch.js';
import type { Member, MemberState } from './member.js';
import { Members } from './members.js';
import { acquireAborted, acquireTimeout, poolExhausted, type PoolSituation } from './pool-errors.js';
import type { PoolSettings } from './settings.js';
import { noCloses, type CloseReason, type PoolStats } from './stats.js';
import { WaitLine, WaitQueue, Waiter, type Wanted, type WaitQueuePool } from './wait-queue.js';

/** What a pool reports while it runs. */
export interface PoolEvents<R> {
  /** A slot, or a whole resource, has just been lent. Called for every call: must cost nothing. */
  lent?(): void;
  created?(resource: R): void;
  closed?(resource: R, reason: CloseReason, error: PooledTcpError | undefined): void;
  /** @param attempt how many have failed in a row */
  dialFailed?(error: unknown, retryInMs: number, attempt: number): void;
  leaked?(lease: WholeLease<R>, heldMs: number, reclaimed: boolean): void;
}

export interface PoolOptionsInternal<R> {
  /** For messages, e.g. `orders at 127.0.0.1:4000`. */
  readonly label: string;
  /** The same where several pools serve one queue, e.g. `any endpoint of orders`. */
  readonly sharedLabel?: string;
  readonly settings: PoolSettings;
  readonly backoff: BackoffSettings;
  readonly clock: Clock;
  readonly events?: PoolEvents<R>;
  /** Shared by the pools of one cluster; a queue of its own when left out. */
  readonly queue?: WaitQueue<R>;
  /** Whether callers who take any of these pools may get this one now. Default: always. */
  readonly servesAny?: () => boolean;
  readonly random?: () => number;
}

export interface AcquireOptions {
  /** Time for waiting, dialling and validation together. Default `acquireTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The whole resource, and not just a slot on it. */
  readonly whole?: boolean | undefined;
  /** An error whose stack shows who borrows, for leak reports. */
  readonly origin?: Error | undefined;
  /** Pins the caller to this pool, where several serve one queue: it waits for none of the others. */
  readonly key?: string | undefined;
}

/**
 * - `new`: opened nothing yet
 * - `open`: keeps `min`, serves callers
 * - `suspended`: callers wait, nothing is dialled
 * - `draining`: refuses new callers, serves those it has
 * - `closed`: for good
 */
export type PoolState = 'new' | 'open' | 'suspended' | 'draining' | 'closed';

const TRANSITIONS: Readonly<Record<PoolState, readonly PoolState[]>> = {
  new: ['open', 'suspended', 'draining', 'closed'],
  open: ['suspended', 'draining', 'closed'],
  suspended: ['open', 'draining', 'closed'],
  draining: ['closed'],
  closed: [],
};

/**
 * Calls in flight for one connection; for n connections they are n² times as many. Two to four connections let both
 * ends work at the same time; with more, each write carries fewer calls, which costs more than it gains.
 */
const CALLS_FOR_ONE = 64;
/** What most callers want. */
const ONE_SLOT: Wanted = { whole: false, origin: undefined };
/** A connection that has lived for so long was a success, even if it carried no call. */
const PROVEN_AFTER_MS = 5_000;
/** An alarm this late means that the process did not run, and not that connections were idle. */
const FROZEN_FROM_MS = 1_000;

/**
 * A pool of anything, with a minimum and a maximum. It knows no sockets: a {@link Factory} makes its members.
 *
 * What is true after every step:
 * - members and dials together never exceed `max`;
 * - nobody waits while a slot is free;
 * - callers are served in the order in which they came;
 * - a slot is in one hand only, and every promise settles;
 * - counts of connections are taken from the collections, never kept beside them.
 */
export class Pool<R> implements LeaseOwner<R>, WaitQueuePool<R> {
  readonly #label: string;
  readonly #sharedLabel: string;
  #settings: PoolSettings;
  readonly #clock: Clock;
  readonly #events: PoolEvents<R>;
  readonly #queue: WaitQueue<R>;
  /** Those who wait for this pool and for none beside it. */
  readonly pinned = new WaitLine<R>();
  readonly #servesAny: (() => boolean) | undefined;
  readonly #members: Members<R>;
  readonly #dials: Dials<R>;
  readonly #gate: DialGate;
  readonly #leases: LeaseWatch<R>;
  /** Rings when something may have become too old: an idle member, a lifetime, a lease. */
  readonly #dates: Alarm;

  #state: PoolState = 'new';
  #slotsTaken = 0;
  /** One connection is wanted, even if nobody waits and `min` is 0: see wake(). */
  #isWoken = false;
  #closing: Deferred | undefined;

  #created = 0;
  #acquired = 0;
  #acquireTimeouts = 0;
  #reclaimed = 0;
  readonly #closed = noCloses();

  constructor(factory: Factory<R>, options: PoolOptionsInternal<R>) {
    const { label, settings, backoff, clock, events = {}, random = Math.random } = options;
    this.#label = label;
    this.#sharedLabel = options.sharedLabel ?? label;
    this.#settings = settings;
    this.#clock = clock;
    this.#events = events;
    this.#queue = options.queue ?? new WaitQueue<R>(clock);
    this.#servesAny = options.servesAny;
    this.#queue.join(this);
    this.#gate = new DialGate(backoff, random, clock, () => {
      this.pump();
    });
    const outcomes = {
      opened: (resource: R) => this.#admit(resource),
      failed: (error: unknown) => {
        this.#onDialFailed(error);
      },
    };
    // In mode short every call waits for a dial of its own, so `max` bounds those too.
    this.#dials = new Dials<R>(factory, this.#gate, outcomes, settings.mode === 'short' ? Infinity : undefined);
    this.#dates = new Alarm(clock, (latenessMs) => {
      this.#sweep(latenessMs);
    });
    this.#members = new Members<R>({
      factory,
      settings,
      clock,
      random,
      dates: this.#dates,
      closed: ({ resource }, reason, error) => {
        this.#closed[reason] += 1;
        events.closed?.(resource, reason, error);
      },
      answered: () => {
        this.pump();
        this.#queue.pumpOthers(this);
      },
    });
    this.#leases = new LeaseWatch<R>(settings, (lease, heldMs, mustReclaim) => {
      if (mustReclaim) this.#reclaim(lease);
      events.leaked?.(lease, heldMs, mustReclaim);
    });
  }

  get state(): PoolState {
    return this.#state;
  }

  /** Connections in the pool. */
  get size(): number {
    return this.#members.size;
  }

  /** Connections that it keeps open. */
  get min(): number {
    return this.#settings.min;
  }

  /** Slots taken. */
  get inFlight(): number {
    return this.#slotsTaken;
  }

  get isDraining(): boolean {
    return this.#state === 'draining';
  }

  /** Connections on their way to those who wait for any pool; what those who wait for this one need is theirs. */
  get supply(): number {
    return this.servesShared ? Math.max(0, this.#onTheWay - this.#needOf(this.pinned)) : 0;
  }

  /** Connections asked for a sign of life before they are lent. */
  get validating(): number {
    return this.#members.validating;
  }

  /** Whether it serves those who wait for any pool. A draining one still does, unless one beside it goes on and can. */
  get servesShared(): boolean {
    if (this.#state === 'open') return this.#servesAny === undefined || this.#servesAny();
    return this.#state === 'draining' && this.#queue.isDraining;
  }

  /** Free slots of connections that are open and only have to give a sign of life before they are lent. */
  get slotsInQuestion(): number {
    return this.#isServing ? this.#members.slotsInQuestion : 0;
  }

  /** The dial that failed last, while none has succeeded since. */
  get lastFailure(): DialFailure | undefined {
    return this.#gate.lastFailure;
  }

  stats(): PoolStats {
    return Object.freeze({
      total: this.#members.size,
      idle: this.#members.idle,
      active: this.#members.size - this.#members.idle,
      connecting: this.#dials.size,
      waiting: this.#queue.size,
      inFlight: this.#slotsTaken,
      created: this.#created,
      closed: Object.freeze({ ...this.#closed }),
      acquired: this.#acquired,
      acquireTimeouts: this.#acquireTimeouts,
      reclaimed: this.#reclaimed,
      dialFailures: this.#gate.failures,
    });
  }

  /** Begins to keep `min` connections. The first acquire does so too. */
  start(): void {
    if (this.#state === 'new') this.#move('open');
  }

  /** A lease on a free slot, or undefined when the caller would have to wait. */
  tryAcquire(): Lease<R> | undefined {
    if (this.#state !== 'open' || this.#hasWaiters) return undefined;
    const member = this.#pick(false);
    return member === undefined ? undefined : this.#lend(member);
  }

  /**
   * A lease, in the order of asking.
   *
   * @throws PooledTcpError `PTCP_ACQUIRE_TIMEOUT`, `PTCP_POOL_EXHAUSTED`, `PTCP_POOL_CLOSED`, `PTCP_ABORTED`
   */
  acquire(options?: AcquireOptions): Promise<Lease<R>> {
    if (this.#state === 'new') this.start();
    if (this.#state === 'draining' || this.#state === 'closed') return Promise.reject(this.#closedError());
    const signal = options?.signal;
    if (signal?.aborted) return Promise.reject(acquireAborted(signal, 0));
    const whole = options?.whole === true;
    if (this.#state === 'open' && !this.#hasWaiters) {
      const member = this.#pick(whole);
      if (member !== undefined) {
        return Promise.resolve(whole ? this.#lendWhole(member, options.origin) : this.#lend(member));
      }
    }
    const key = options?.key;
    const wanted = whole || key !== undefined ? { whole, origin: options?.origin, key } : ONE_SLOT;
    if (this.#isFullFor(wanted)) return Promise.reject(poolExhausted(this.#situation()));
    return this.#wait(wanted, options?.timeoutMs, signal);
  }

  /**
   * Opens one connection where there is none, and goes on trying with the delays of the backoff: finds out whether a
   * peer is back, or makes ready one that is to get calls.
   */
  wake(): void {
    if (this.#isWoken || this.#members.size > 0) return;
    this.#isWoken = true;
    this.pump();
  }

  /** The peer takes no new calls on it: no new work, closed once free. Refilled up to `min`. */
  retire(resource: R): void {
    const member = this.#members.find(resource);
    if (member === undefined) return;
    this.#members.refuse(member);
    this.pump();
  }

  /** Retires every connection without failing a call, e.g. after a change of certificates. */
  evict(): void {
    this.#members.retireAll();
    this.pump();
  }

  /** Changes the limits; surplus idle connections are closed, missing ones dialled. */
  setLimits(limits: Pick<PoolSettings, 'min' | 'max'> & Partial<Pick<PoolSettings, 'maxInFlight'>>): void {
    this.#settings = Object.freeze({ ...this.#settings, ...limits });
    this.#dials.abandonDownTo(limits.max - this.#members.size);
    this.#members.resize(this.#settings);
    this.pump();
  }

  /** New callers wait and nothing is dialled, until {@link resume}. */
  suspend(): void {
    this.#move('suspended');
  }

  resume(): void {
    if (this.#state === 'suspended') this.#move('open');
  }

  /**
   * Refuses new callers, serves those who wait and those who hold a lease, then closes. Resolves when nothing
   * is left; the caller sets the deadline and then calls {@link destroy}. Later callers join.
   */
  close(): Promise<void> {
    this.#closing ??= new Deferred();
    if (this.#state === 'closed') this.#closing.resolve();
    else this.#move('draining');
    return this.#closing.promise;
  }

  /** Closes everything at once: waiters are refused, leases are left to fail. */
  destroy(): void {
    this.#move('closed');
  }

  /** Serves those who wait, and dials where too few connections are on their way. Idempotent. */
  pump(): void {
    if (this.#isServing) {
      this.#serve();
      this.#validateStale();
      this.#dialMissing();
      // What is now on its way may have freed connections that were kept for somebody.
      if (this.#members.slots > 1) {
        this.#reserve();
        this.#serve();
      }
    }
    if (this.#state === 'draining') this.#settleDrain();
  }

  /** Called by a lease. */
  giveBack(lease: Lease<R>, isHealthy: boolean): void {
    const { member } = lease;
    if (lease instanceof WholeLease) this.#leases.remove(lease as WholeLease<R>);
    this.#slotsTaken -= 1;
    if (member.state === 'gone') return;
    if (!member.isProven) {
      member.isProven = true;
      this.#gate.proven();
    }
    if (isHealthy) this.#members.giveBack(member);
    else this.#members.drop(member, 'discarded');
    // Whoever waits needs another in its place, or this one asked first.
    if ((member.state as MemberState) === 'gone' || member.isDoubted) {
      this.pump();
      return;
    }
    if (this.#hasWaiters && this.#isServing) {
      member.isFreshNow = true;
      this.#serve();
      member.isFreshNow = false;
    }
    if (this.#state === 'draining') this.#settleDrain();
  }

  /** Whether it serves anybody. Those who are pinned to it have nobody else. */
  get #isServing(): boolean {
    return this.#state === 'open' || (this.#state === 'draining' && (this.#queue.isDraining || this.pinned.size > 0));
  }

  /** Whether anybody waits whom it might serve: nobody overtakes them. */
  get #hasWaiters(): boolean {
    return this.#queue.shared.size + this.pinned.size > 0;
  }

  /** Whether one more must not wait. Looked at closely only where there may be too many. */
  #isFullFor(wanted: Wanted): boolean {
    const { maxWaiters } = this.#settings;
    if (this.#queue.size < maxWaiters) return false;
    const inNeed = wanted.whole ? this.#queue.inNeedWith() + 1 : this.#queue.inNeedWith(this.#lineOf(wanted));
    return inNeed > maxWaiters;
  }

  #lineOf({ key }: Wanted): WaitLine<R> {
    return key === undefined ? this.#queue.shared : this.pinned;
  }

  /** Dials and validations. */
  get #onTheWay(): number {
    return this.#dials.size + this.#members.validating;
  }

  // Lending

  #pick(whole: boolean): Member<R> | undefined {
    const member = this.#members.pick(whole);
    // What all carry together: one of them may carry it alone, because it was the first to be ready for a crowd.
    const { size } = this.#members;
    if (member !== undefined && this.#slotsTaken >= CALLS_FOR_ONE * size * size && this.#dials.size === 0)
      this.#dialUpTo(1);
    // A connection that is idle and only has to be asked first is better than one more call on a busy one.
    if (member !== undefined && member.inFlight > 0 && this.#members.idle > 0) this.#members.validateNext();
    return member;
  }

  #lend(member: Member<R>): Lease<R> {
    this.#take(member, 'active');
    return new Lease<R>(this, member);
  }

  #lendWhole(member: Member<R>, origin: Error | undefined): Lease<R> {
    this.#take(member, 'leased');
    const now = this.#clock.now();
    const lease = new WholeLease<R>(this, member, now, origin);
    this.#leases.add(lease);
    this.#dates.setAt(this.#leases.firstDate(now));
    return lease;
  }

  #take(member: Member<R>, as: 'active' | 'leased'): void {
    this.#members.take(member, as);
    this.#slotsTaken += 1;
    this.#acquired += 1;
    this.#events.lent?.();
  }

  #reclaim(lease: WholeLease<R>): void {
    if (!lease.reclaim()) return;
    this.#slotsTaken -= 1;
    this.#reclaimed += 1;
    this.#members.drop(lease.member, 'reclaimed');
  }

  // Waiting

  #wait(wanted: Wanted, timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<Lease<R>> {
    return new Promise<Lease<R>>((resolve, reject) => {
      const now = this.#clock.now();
      const deadline = now + (timeoutMs ?? this.#settings.acquireTimeoutMs);
      const waiter = new Waiter<R>(wanted, now, deadline, resolve, reject, this.#onExpired);
      if (signal !== undefined) {
        const onAbort = (): void => {
          if (this.#queue.remove(waiter)) this.#refuse(waiter, acquireAborted(signal, this.#clock.now() - now));
        };
        signal.addEventListener('abort', onAbort, { once: true });
        waiter.detach = () => {
          signal.removeEventListener('abort', onAbort);
        };
      }
      this.#queue.add(waiter, this.#lineOf(wanted));
      // In a pool that is full and busy there is nothing to be done but to wait.
      if (this.#members.slots > 1 || this.#members.idle > 0 || this.#room > 0) this.pump();
      this.#queue.pumpOthers(this);
    });
  }

  readonly #onExpired = (waiter: Waiter<R>): void => {
    this.#acquireTimeouts += 1;
    this.#refuse(waiter, acquireTimeout(this.#clock.now() - waiter.since, this.#situation()));
  };

  /** A waiter that has left the queue gets its error, and what was kept for it goes to others. */
  #refuse(waiter: Waiter<R>, error: PooledTcpError): void {
    waiter.reject(error);
    this.pump();
    this.#queue.pumpOthers(this);
  }

  /** Gives free slots to those who wait, the longest waiter first. */
  #serve(): void {
    if (!this.#hasWaiters) return;
    const { shared } = this.#queue;
    const wholes = shared.wholes.size;
    const all = shared.size;
    this.#serveAll();
    // Other pools may keep a member for one who has been served, or wait for the queue to empty before they close.
    if (shared.wholes.size < wholes || (all > 0 && shared.size === 0)) this.#queue.pumpOthers(this);
  }

  #serveAll(): void {
    for (;;) {
      // Each time anew: who has just been served may have been the only one who was to be served here.
      const anybody = this.servesShared ? this.#queue.shared : undefined;
      const slot = earlier(this.pinned.slots.first, anybody?.slots.first);
      const whole = earlier(this.pinned.wholes.first, anybody?.wholes.first);
      if (slot === undefined && whole === undefined) return;
      const isWholeFirst = whole !== undefined && (slot === undefined || whole.order < slot.order);
      if (isWholeFirst) {
        if (this.#serveOne(whole)) continue;
        // Those behind it take what is not kept for it.
        if (this.#members.slots > 1) this.#reserve();
        if (!this.#serveOne(slot)) return;
      } else if (!this.#serveOne(slot) && !this.#serveOne(whole)) return;
    }
  }

  #serveOne(waiter: Waiter<R> | undefined): boolean {
    if (waiter === undefined) return false;
    const { whole, origin } = waiter.wanted;
    const member = this.#pick(whole);
    if (member === undefined) return false;
    this.#queue.remove(waiter);
    waiter.resolve(whole ? this.#lendWhole(member, origin) : this.#lend(member));
    if (whole && this.#members.slots > 1) this.#reserve();
    return true;
  }

  /** Keeps one connection for each caller who waits for a whole one. Dials do not count: they may hang. */
  #reserve(): void {
    this.#members.reserve(this.pinned.wholes.size + (this.servesShared ? this.#queue.shared.wholes.size : 0));
  }

  /**
   * Asks idle members that have been silent for a sign of life, as many as there are callers for them. Dials do not
   * count: they may hang, here or at an endpoint that is dead, and an answer takes a round trip.
   */
  #validateStale(): void {
    const { shared } = this.#queue;
    const own = this.#needOf(this.pinned);
    const any = this.servesShared ? this.#needOf(shared) : 0;
    while ((own > this.validating || (any > 0 && own + any > this.#queue.validating)) && this.#members.validateNext());
  }

  // Dialling

  /**
   * Connections that waiting callers need beyond those on their way: here for those who are pinned, in all pools that
   * serve the queue for the others.
   */
  #demand(): number {
    const { shared } = this.#queue;
    const own = this.pinned.size === 0 ? 0 : Math.max(0, this.#needOf(this.pinned) - this.#onTheWay);
    return shared.size === 0 || !this.servesShared ? own : own + Math.max(0, this.#needOf(shared) - this.#queue.supply);
  }

  #needOf({ slots, wholes }: WaitLine<R>): number {
    return connectionsFor(slots.size, this.#members.slots) + wholes.size;
  }

  #dialMissing(): void {
    if (!this.#gate.isOpen) return;
    const least = Math.max(this.#settings.min, this.#isWoken ? 1 : 0);
    const missing = this.#state === 'open' ? least - this.#members.staying - this.#dials.size : 0;
    if (missing > 0 && this.#members.size + this.#dials.size >= this.#settings.max) this.#members.makeRoom();
    this.#dialUpTo(Math.max(missing, this.#demand()));
  }

  /** How many dials may begin now. */
  get #room(): number {
    return this.#dials.room(this.#settings.max - this.#members.size);
  }

  #dialUpTo(count: number): void {
    for (let i = Math.min(count, this.#room); i > 0; i--) this.#dials.begin();
  }

  /** A dial has succeeded. Returns what is to be called when the resource dies. */
  #admit(resource: R): (reason: PooledTcpError) => void {
    const { mode } = this.#settings;
    this.#created += 1;
    this.#gate.opened();
    this.#isWoken = false;
    const member = this.#members.add(resource);
    this.#events.created?.(resource);
    this.pump();
    // Dialled for a caller who has left meanwhile.
    if (mode === 'short' && member.state === 'idle') this.#members.drop(member, 'surplus');
    return (reason) => {
      this.#onLost(member, reason);
    };
  }

  #onDialFailed(error: unknown): void {
    const retryInMs = this.#gate.failed(error);
    if (retryInMs !== undefined) this.#events.dialFailed?.(error, retryInMs, this.#gate.attempts);
    // Whoever relied on this dial may still be served by an idle connection that only needs to be validated.
    this.pump();
    this.#queue.pumpOthers(this);
  }

  #onLost(member: Member<R>, reason: PooledTcpError): void {
    if (member.state === 'gone') return;
    const { retirement } = member;
    this.#members.drop(member, 'lost', reason);
    this.#gate.suspect();
    // The end of one that was said goodbye on tells nothing about the others.
    if (retirement !== 'refusing') this.#members.doubtAll();
    // A peer that accepts connections and drops them at once is as good as one that refuses them.
    const isStillborn = !member.isProven && this.#clock.now() - member.bornAt < PROVEN_AFTER_MS;
    if (isStillborn) {
      this.#onDialFailed(reason);
      return;
    }
    this.#gate.proven();
    this.pump();
    this.#queue.pumpOthers(this);
  }

  // Closing

  #settleDrain(): void {
    if (this.#hasWaiters && this.#isServing) return;
    this.#members.dropIdle('shutdown');
    this.#dials.abandonDownTo(0);
    if (this.#members.size === 0) this.#move('closed');
  }

  #move(to: PoolState): boolean {
    if (!TRANSITIONS[this.#state].includes(to)) return false;
    this.#state = to;
    if (to === 'draining') this.#members.drain();
    if (to === 'closed') this.#onClosed();
    else this.pump();
    // Somebody may wait for what it has under way, which is of no use to them now: others have to see to it.
    if (to === 'draining' || to === 'suspended') this.#queue.pumpOthers(this);
    return true;
  }

  #onClosed(): void {
    this.#gate.stop();
    this.#dates.clear();
    this.#dials.abandonDownTo(0);
    this.#members.dropAll('shutdown');
    this.#refuseAll(this.pinned);
    // Those who wait in a queue that other pools serve too may still be served there.
    if (this.#queue.leave(this)) this.#refuseAll(this.#queue.shared);
    this.#closing ??= new Deferred();
    this.#closing.resolve();
  }

  #refuseAll(line: WaitLine<R>): void {
    for (const waiter of line) if (this.#queue.remove(waiter)) waiter.reject(this.#closedError());
  }

  // The passing of time

  /** Closes what is too old or has been idle for too long, takes back leaked leases, and sets the next date. */
  #sweep(latenessMs: number): void {
    const now = this.#clock.now();
    if (latenessMs > FROZEN_FROM_MS) {
      this.#members.forgive(latenessMs);
      this.#leases.forgive(latenessMs);
    }
    this.#members.sweep(now);
    this.#dates.setAt(this.#leases.sweep(now));
    this.pump();
  }

  #closedError(): PooledTcpError {
    const state = this.#state === 'draining' ? 'draining' : 'closed';
    return new PooledTcpError('PTCP_POOL_CLOSED', `the pool of ${this.#label} is ${state}`);
  }

  #situation(): PoolSituation {
    const { stats, pools, lastFailure } = this.#queue.situation();
    return {
      label: pools > 1 ? this.#sharedLabel : this.#label,
      stats,
      waiting: this.#queue.size,
      max: this.#settings.max,
      pools,
      now: this.#clock.now(),
      lastFailure,
    };
  }
}

function earlier<R>(a: Waiter<R> | undefined, b: Waiter<R> | undefined): Waiter<R> | undefined {
  if (a === undefined) return b;
  return b === undefined || a.order < b.order ? a : b;
}

/** Connections that so many calls want at once, when each connection has so many slots. */
function connectionsFor(calls: number, slots: number): number {
  const enough = Math.ceil(calls / slots);
  return slots === 1 ? enough : Math.max(enough, Math.ceil(Math.sqrt(calls / CALLS_FOR_ONE)));
}
