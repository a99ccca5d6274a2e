import { Backoff, type BackoffSettings } from '../common/backoff.js';
import type { Clock, Timer } from '../common/clock.js';
import { Deferred } from '../common/deferred.js';
import { LinkedList } from '../common/linked-list.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import { Lease, type LeaseOwner } from './lease.js';
import { Member } from './member.js';
import type { PoolSettings } from './settings.js';
import { noCloses, type CloseReason, type PoolStats } from './stats.js';
import { WaitQueue, Waiter, type WaitQueuePool } from './wait-queue.js';

/** Makes and unmakes what is pooled. */
export interface Factory<R> {
  /**
   * Opens one resource, within a time of its own. When the signal fires the attempt is abandoned and must
   * clean up after itself.
   *
   * @param lost to be called when the resource, once handed over, dies by itself
   */
  create(signal: AbortSignal, lost: (reason: PooledTcpError) => void): Promise<R>;
  /** Closes a resource. Must not throw. */
  destroy(resource: R, reason: CloseReason): void;
  /** Resolves when the resource works. Without it nothing is validated. */
  validate?(resource: R): Promise<void>;
  /** When the resource last showed a sign of life, on the pool's clock. */
  lastAliveAt?(resource: R): number;
}

/** What a pool reports while it runs. */
export interface PoolEvents<R> {
  created?(resource: R): void;
  closed?(resource: R, reason: CloseReason, error: PooledTcpError | undefined): void;
  /** @param attempt how many have failed in a row */
  dialFailed?(error: unknown, retryInMs: number, attempt: number): void;
  leaked?(lease: Lease<R>, heldMs: number, reclaimed: boolean): void;
}

export interface PoolOptionsInternal<R> {
  /** For messages, e.g. `orders at 127.0.0.1:4000`. */
  readonly label: string;
  readonly settings: PoolSettings;
  readonly backoff: BackoffSettings;
  readonly clock: Clock;
  readonly events?: PoolEvents<R>;
  /** Shared by the pools of one cluster; a queue of its own when left out. */
  readonly queue?: WaitQueue<R>;
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

/** Dials at once for one pool: a restarted server is not met by a herd. */
const MAX_PARALLEL_DIALS = 4;
/** Calls in flight on each connection from which on a shared pool grows in the background. */
const GROWTH_TARGET = 64;
/** A sweep this late means the process did not run, and not that connections were idle. */
const MAX_LATENESS_MS = 1_000;

interface Dial {
  readonly abort: AbortController;
}

/**
 * A pool of anything, with a minimum and a maximum. It knows no sockets: a {@link Factory} makes its members.
 *
 * What is true after every step:
 * - members and dials together never exceed `max`;
 * - nobody waits while a slot is free;
 * - callers are served in the order in which they came;
 * - a slot is in one hand only, and every promise settles;
 * - counts are taken from the collections, never kept beside them.
 */
export class Pool<R> implements LeaseOwner<R>, WaitQueuePool {
  readonly #label: string;
  #settings: PoolSettings;
  readonly #factory: Factory<R>;
  readonly #clock: Clock;
  readonly #events: PoolEvents<R>;
  readonly #random: () => number;
  readonly #queue: WaitQueue<R>;
  readonly #backoff: Backoff;

  #state: PoolState = 'new';
  readonly #members = new Set<Member<R>>();
  /** Idle members, the most recently used first. */
  readonly #idle = new LinkedList<Member<R>>();
  readonly #dials = new Set<Dial>();
  /** Whole leases, the oldest first. */
  readonly #leases = new LinkedList<Lease<R>>();
  #validating = 0;
  #slotsTaken = 0;

  #retryTimer: Timer | undefined;
  #sweepTimer: Timer | undefined;
  #sweepAt = Infinity;
  #lastFailure: { error: unknown; at: number } | undefined;
  #warmers: Deferred[] = [];
  #closing: Deferred | undefined;

  #created = 0;
  #acquired = 0;
  #acquireTimeouts = 0;
  #reclaimed = 0;
  #dialFailures = 0;
  readonly #closed = noCloses();

  constructor(factory: Factory<R>, options: PoolOptionsInternal<R>) {
    this.#factory = factory;
    this.#label = options.label;
    this.#settings = options.settings;
    this.#clock = options.clock;
    this.#events = options.events ?? {};
    this.#random = options.random ?? Math.random;
    this.#queue = options.queue ?? new WaitQueue<R>();
    this.#queue.pools.add(this);
    this.#backoff = new Backoff(options.backoff, this.#random);
  }

  get state(): PoolState {
    return this.#state;
  }

  get isDraining(): boolean {
    return this.#state === 'draining';
  }

  /** Connections in the pool. */
  get size(): number {
    return this.#members.size;
  }

  /** Slots taken. */
  get inFlight(): number {
    return this.#slotsTaken;
  }

  /** Connections on their way: dials and validations. */
  get supply(): number {
    return this.#dials.size + this.#validating;
  }

  /** The dial that failed last, while none has succeeded since. */
  get lastFailure(): unknown {
    return this.#lastFailure?.error;
  }

  /** Whether a free slot could be had, now or by dialling without waiting for a backoff. */
  get isPromising(): boolean {
    return this.#state === 'open' || this.#state === 'new'
      ? this.#members.size > 0 || this.#retryTimer === undefined
      : false;
  }

  stats(): PoolStats {
    return Object.freeze({
      total: this.#members.size,
      idle: this.#idle.size,
      active: this.#members.size - this.#idle.size,
      connecting: this.#dials.size,
      waiting: this.#queue.size,
      inFlight: this.#slotsTaken,
      created: this.#created,
      closed: Object.freeze({ ...this.#closed }),
      acquired: this.#acquired,
      acquireTimeouts: this.#acquireTimeouts,
      reclaimed: this.#reclaimed,
      dialFailures: this.#dialFailures,
    });
  }

  /** Begins to keep `min` connections. The first acquire does so too. */
  start(): void {
    if (this.#state === 'new') this.#move('open');
  }

  /**
   * Resolves once `min` connections are open; rejects when the pool closes first. Has no deadline of its own,
   * because failed dials are repeated.
   */
  async warm(): Promise<void> {
    this.start();
    if (this.#state === 'closed' || this.#state === 'draining') throw this.#closedError();
    if (this.#members.size >= this.#settings.min) return;
    const warmer = new Deferred();
    this.#warmers.push(warmer);
    await warmer.promise;
  }

  /** A lease on a free slot, or undefined when the caller would have to wait. */
  tryAcquire(): Lease<R> | undefined {
    if (this.#state !== 'open' || this.#queue.size > 0) return undefined;
    const now = this.#clock.now();
    const member = this.#pick(now, false);
    return member === undefined ? undefined : this.#lend(member, false, now, undefined);
  }

  /**
   * A lease, in the order of asking.
   *
   * @throws PooledTcpError `PTCP_ACQUIRE_TIMEOUT`, `PTCP_POOL_EXHAUSTED`, `PTCP_POOL_CLOSED`, `PTCP_ABORTED`
   */
  acquire(options: AcquireOptions = {}): Promise<Lease<R>> {
    const { signal } = options;
    if (this.#state === 'new') this.start();
    if (this.#state === 'draining' || this.#state === 'closed') return Promise.reject(this.#closedError());
    if (signal?.aborted) return Promise.reject(aborted(signal, 0));
    const isWhole = options.whole === true && this.#slots > 1;
    const now = this.#clock.now();
    if (this.#state === 'open' && this.#queue.size === 0) {
      const member = this.#pick(now, isWhole);
      if (member !== undefined) return Promise.resolve(this.#lend(member, options.whole === true, now, options.origin));
    }
    if (this.#queue.size >= this.#settings.maxWaiters) return Promise.reject(this.#exhaustedError());
    return this.#wait(isWhole, options, now);
  }

  /** Takes a resource out of use: no new work, closed once free. Refilled up to `min`. */
  retire(resource: R): void {
    for (const member of this.#members) if (member.resource === resource) this.#retireMember(member);
    this.pump();
  }

  /** Retires every connection without failing a call, e.g. after a change of certificates. */
  evict(): void {
    for (const member of this.#members) this.#retireMember(member);
    this.pump();
  }

  /** Changes the limits; surplus idle connections are closed, missing ones dialled. */
  setLimits(limits: { min: number; max: number }): void {
    this.#settings = Object.freeze({ ...this.#settings, ...limits });
    for (
      let member = this.#idle.last;
      member !== undefined && this.#members.size > limits.max;
      member = this.#idle.last
    ) {
      this.#drop(member, 'surplus');
    }
    this.#armSweep(this.#clock.now() + this.#settings.idleTimeoutMs);
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
    else if (this.#move('draining')) this.#settleDrain();
    return this.#closing.promise;
  }

  /** Closes everything at once: waiters are refused, leases are left to fail. */
  destroy(): void {
    this.#move('closed');
  }

  /** Called by a lease. */
  giveBack(lease: Lease<R>, healthy: boolean): void {
    const { member } = lease;
    if (lease.list !== undefined) this.#leases.remove(lease);
    this.#slotsTaken -= 1;
    if (member.state === 'gone') return;
    member.inFlight -= 1;
    if (!healthy) {
      this.#drop(member, 'discarded');
      this.pump();
      return;
    }
    const now = this.#clock.now();
    member.freshAt = now;
    if (member.inFlight === 0) {
      member.move('idle');
      if (this.#mustClose(member, now)) {
        this.#drop(member, this.#settings.mode === 'short' ? 'surplus' : 'lifetime');
        this.pump();
        return;
      }
      this.#toIdle(member, now);
    }
    if (this.#queue.size > 0) {
      this.pump();
      this.#queue.pumpOthers(this);
    } else if (this.#state === 'draining') this.#settleDrain();
  }

  /** Serves those who wait, and dials where too few connections are on their way. Idempotent. */
  pump(): void {
    if (this.#state === 'closed') return;
    const now = this.#clock.now();
    if (this.#servesQueue) {
      this.#serve(now);
      this.#validateStale(now);
      this.#reserve();
      this.#dialMissing();
    }
    if (this.#state === 'draining') this.#settleDrain();
  }

  /** A draining pool still serves those who wait, unless a pool beside it goes on and can. */
  get #servesQueue(): boolean {
    if (this.#state === 'open') return true;
    return this.#state === 'draining' && [...this.#queue.pools].every((pool) => pool.isDraining);
  }

  /** Slots of one member. */
  get #slots(): number {
    return this.#settings.mode === 'shared' ? this.#settings.maxInFlight : 1;
  }

  // Lending

  /** The member that takes the next caller: one without calls, the most recently used; else the least loaded. */
  #pick(now: number, isWhole: boolean): Member<R> | undefined {
    for (let member = this.#idle.first; member !== undefined; member = this.#idle.first) {
      if (now >= member.retireAt) {
        this.#drop(member, 'lifetime');
        continue;
      }
      if (this.#isFresh(member, now)) return member;
      break;
    }
    if (isWhole || this.#slots === 1) return undefined;
    let best: Member<R> | undefined;
    for (const member of this.#members) {
      if (member.state !== 'active' || member.isReserved || member.inFlight >= this.#slots || now >= member.retireAt)
        continue;
      if (best === undefined || member.inFlight < best.inFlight) best = member;
    }
    if (best !== undefined && best.inFlight >= GROWTH_TARGET) this.#growInBackground();
    return best;
  }

  #isFresh(member: Member<R>, now: number): boolean {
    if (this.#factory.validate === undefined) return true;
    const { validateAfterIdleMs } = this.#settings;
    if (now - member.freshAt <= validateAfterIdleMs) return true;
    const aliveAt = this.#factory.lastAliveAt?.(member.resource) ?? 0;
    return now - aliveAt <= validateAfterIdleMs;
  }

  #lend(member: Member<R>, isWhole: boolean, now: number, origin: Error | undefined): Lease<R> {
    if (member.state === 'idle') {
      this.#idle.remove(member);
      member.move(isWhole ? 'leased' : 'active');
      member.isReserved = false;
    }
    member.inFlight += 1;
    this.#slotsTaken += 1;
    this.#acquired += 1;
    const lease = new Lease<R>(this, member, isWhole, now, origin);
    if (isWhole) {
      this.#leases.addLast(lease);
      const { leakWarnMs, leakReclaimMs } = this.#settings;
      const limitMs = leakWarnMs > 0 ? leakWarnMs : leakReclaimMs;
      if (limitMs > 0) this.#armSweep(now + limitMs);
    }
    return lease;
  }

  /** Whether a member that has just become free is not kept. */
  #mustClose(member: Member<R>, now: number): boolean {
    return now >= member.retireAt || this.#settings.mode === 'short' || this.#members.size > this.#settings.max;
  }

  #toIdle(member: Member<R>, now: number): void {
    member.isReserved = false;
    member.idleSince = now;
    this.#idle.addFirst(member);
    if (this.#members.size > this.#settings.min && this.#settings.idleTimeoutMs > 0) {
      this.#armSweep(now + this.#settings.idleTimeoutMs);
    }
  }

  // Waiting

  #wait(isWhole: boolean, options: AcquireOptions, now: number): Promise<Lease<R>> {
    return new Promise<Lease<R>>((resolve, reject) => {
      const { signal, origin } = options;
      const waiter = new Waiter<R>(options.whole === true, isWhole, now, origin, resolve, reject);
      const timeoutMs = options.timeoutMs ?? this.#settings.acquireTimeoutMs;
      waiter.timer = this.#clock.setTimeout(() => {
        this.#acquireTimeouts += 1;
        this.#refuse(waiter, this.#timeoutError(waiter));
      }, timeoutMs);
      if (signal !== undefined) {
        const onAbort = (): void => {
          this.#refuse(waiter, aborted(signal, this.#clock.now() - now));
        };
        signal.addEventListener('abort', onAbort, { once: true });
        waiter.detach = () => {
          signal.removeEventListener('abort', onAbort);
        };
      }
      this.#queue.add(waiter);
      this.pump();
      this.#queue.pumpOthers(this);
    });
  }

  #refuse(waiter: Waiter<R>, error: PooledTcpError): void {
    if (!this.#leaveQueue(waiter)) return;
    waiter.reject(error);
    // A member kept free for this waiter is free for others again.
    if (waiter.isWhole) this.#queue.pumpOthers(this);
    this.pump();
  }

  #leaveQueue(waiter: Waiter<R>): boolean {
    if (!this.#queue.remove(waiter)) return false;
    if (waiter.timer !== undefined) this.#clock.clearTimeout(waiter.timer);
    waiter.detach?.();
    return true;
  }

  /** Gives free slots to those who wait, the longest waiter first. */
  #serve(now: number): void {
    for (;;) {
      const slot = this.#queue.slots.first;
      const whole = this.#queue.wholes.first;
      const wholeFirst = whole !== undefined && (slot === undefined || whole.order < slot.order);
      if (!this.#serveOne(wholeFirst ? whole : slot, now) && !this.#serveOne(wholeFirst ? slot : whole, now)) return;
    }
  }

  #serveOne(waiter: Waiter<R> | undefined, now: number): boolean {
    if (waiter === undefined) return false;
    const member = this.#pick(now, waiter.isWhole);
    if (member === undefined) return false;
    this.#leaveQueue(waiter);
    waiter.resolve(this.#lend(member, waiter.wantsWhole, now, waiter.origin));
    return true;
  }

  /** Asks idle members that have been silent for a sign of life, as many as there are callers for them. */
  #validateStale(now: number): void {
    const validate = this.#factory.validate?.bind(this.#factory);
    if (validate === undefined) return;
    while (this.#demand() > 0) {
      const member = this.#idle.first;
      if (member === undefined || this.#isFresh(member, now)) return;
      this.#idle.remove(member);
      member.move('validating');
      this.#validating += 1;
      this.#validate(member, validate(member.resource));
    }
  }

  #validate(member: Member<R>, answer: Promise<void>): void {
    let timer: Timer | undefined = undefined;
    let isSettled = false;
    const settle = (isAlive: boolean): void => {
      if (isSettled) return;
      isSettled = true;
      if (timer !== undefined) this.#clock.clearTimeout(timer);
      this.#validating -= 1;
      if (member.state !== 'validating') return;
      if (isAlive) {
        const now = this.#clock.now();
        member.freshAt = now;
        member.move('idle');
        this.#toIdle(member, now);
      } else this.#drop(member, 'invalid');
      this.pump();
      this.#queue.pumpOthers(this);
    };
    // A third of the budget: a caller that meets a dead connection has time left for a live one.
    timer = this.#clock.setTimeout(
      () => {
        settle(false);
      },
      Math.max(1, Math.floor(this.#settings.acquireTimeoutMs / 3)),
    );
    answer.then(
      () => {
        settle(true);
      },
      () => {
        settle(false);
      },
    );
  }

  /** Keeps one connection for each caller who waits for a whole one from taking further calls. */
  #reserve(): void {
    if (this.#slots === 1) return;
    let needed = this.#queue.wholes.size - this.supply;
    const active = [...this.#members].filter((member) => member.state === 'active');
    if (needed <= 0 && !active.some((member) => member.isReserved)) return;
    active.sort((a, b) => Number(b.isReserved) - Number(a.isReserved) || a.inFlight - b.inFlight);
    for (const member of active) {
      member.isReserved = needed > 0;
      needed -= 1;
    }
  }

  // Dialling

  /** Connections that waiting callers need beyond those on their way, in all pools that serve the queue. */
  #demand(): number {
    const { slots, wholes, size } = this.#queue;
    if (size === 0) return 0;
    const perMember = Math.min(this.#slots, GROWTH_TARGET);
    return Math.ceil(slots.size / perMember) + wholes.size - this.#queue.supply;
  }

  #dialMissing(): void {
    const missing = this.#state === 'open' ? this.#settings.min - this.#staying() - this.#dials.size : 0;
    this.#dialUpTo(Math.max(missing, this.#demand()));
  }

  /** Members that are not about to be closed. */
  #staying(): number {
    const now = this.#clock.now();
    let staying = 0;
    for (const member of this.#members) if (now < member.retireAt) staying += 1;
    return staying;
  }

  #growInBackground(): void {
    if (this.#dials.size === 0) this.#dialUpTo(1);
  }

  #dialUpTo(count: number): void {
    if (this.#retryTimer !== undefined) return;
    const dialling = this.#dials.size;
    const room = Math.min(this.#settings.max - this.#members.size - dialling, MAX_PARALLEL_DIALS - dialling);
    for (let i = Math.min(count, room); i > 0; i--) this.#dial();
  }

  #dial(): void {
    const dial: Dial = { abort: new AbortController() };
    this.#dials.add(dial);
    let member: Member<R> | undefined;
    let lostEarly: PooledTcpError | undefined;
    const lost = (reason: PooledTcpError): void => {
      if (member === undefined) lostEarly = reason;
      else this.#onLost(member, reason);
    };
    this.#factory.create(dial.abort.signal, lost).then(
      (resource) => {
        this.#dials.delete(dial);
        if (this.#state === 'closed' || lostEarly !== undefined) {
          this.#factory.destroy(resource, 'shutdown');
          if (lostEarly !== undefined) this.#onDialFailed(lostEarly);
          return;
        }
        member = this.#admit(resource);
      },
      (error: unknown) => {
        this.#dials.delete(dial);
        this.#onDialFailed(error);
      },
    );
  }

  #admit(resource: R): Member<R> {
    const now = this.#clock.now();
    const { maxLifetimeMs, min } = this.#settings;
    const retireAt = maxLifetimeMs === 0 ? Infinity : now + maxLifetimeMs * (1 - 0.25 * this.#random());
    const member = new Member(resource, now, retireAt);
    this.#members.add(member);
    this.#created += 1;
    this.#backoff.reset();
    this.#lastFailure = undefined;
    this.#events.created?.(resource);
    this.#armSweep(retireAt);
    this.#toIdle(member, now);
    if (this.#members.size >= min) this.#settleWarmers();
    this.pump();
    // Dialled for a caller who has left meanwhile.
    if (this.#settings.mode === 'short' && member.state === 'idle') this.#drop(member, 'surplus');
    return member;
  }

  #onDialFailed(error: unknown): void {
    if (this.#state === 'closed') return;
    this.#dialFailures += 1;
    this.#lastFailure = { error, at: this.#clock.now() };
    // Dials that failed together count once.
    if (this.#retryTimer === undefined) {
      const delayMs = this.#backoff.next();
      this.#retryTimer = this.#clock.setTimeout(() => {
        this.#retryTimer = undefined;
        this.pump();
      }, delayMs);
      this.#events.dialFailed?.(error, delayMs, this.#backoff.attempts);
    }
    this.#queue.pumpOthers(this);
    if (this.#state === 'draining') this.#settleDrain();
  }

  #onLost(member: Member<R>, reason: PooledTcpError): void {
    if (member.state === 'gone') return;
    this.#drop(member, 'lost', reason);
    this.pump();
    this.#queue.pumpOthers(this);
  }

  // Closing

  #retireMember(member: Member<R>): void {
    member.retireAt = -Infinity;
    if (member.state === 'idle') this.#drop(member, 'retired');
  }

  #drop(member: Member<R>, reason: CloseReason, error?: PooledTcpError): void {
    this.#idle.remove(member);
    if (!member.move('gone')) return;
    this.#members.delete(member);
    this.#closed[reason] += 1;
    if (reason !== 'lost') this.#factory.destroy(member.resource, reason);
    this.#events.closed?.(member.resource, reason, error);
  }

  #settleDrain(): void {
    if (this.#queue.size > 0 && this.#servesQueue) return;
    for (const member of this.#idle) this.#drop(member, 'shutdown');
    for (const dial of this.#dials) dial.abort.abort(this.#closedError());
    this.#dials.clear();
    if (this.#members.size === 0) this.#move('closed');
  }

  #move(to: PoolState): boolean {
    if (!TRANSITIONS[this.#state].includes(to)) return false;
    this.#state = to;
    if (to === 'open') this.pump();
    if (to === 'closed') this.#onClosed();
    return true;
  }

  #onClosed(): void {
    this.#queue.pools.delete(this);
    if (this.#retryTimer !== undefined) this.#clock.clearTimeout(this.#retryTimer);
    if (this.#sweepTimer !== undefined) this.#clock.clearTimeout(this.#sweepTimer);
    this.#retryTimer = undefined;
    this.#sweepTimer = undefined;
    for (const dial of this.#dials) dial.abort.abort(this.#closedError());
    this.#dials.clear();
    for (const member of this.#members) this.#drop(member, 'shutdown');
    // Those who wait in a queue that other pools serve may still be served there.
    if (this.#queue.pools.size === 0) for (const waiter of this.#queue) this.#refuse(waiter, this.#closedError());
    const warmers = this.#warmers;
    this.#warmers = [];
    for (const warmer of warmers) warmer.reject(this.#closedError());
    this.#closing ??= new Deferred();
    this.#closing.resolve();
  }

  #settleWarmers(): void {
    const warmers = this.#warmers;
    this.#warmers = [];
    for (const warmer of warmers) warmer.resolve();
  }

  // The passing of time

  #armSweep(at: number): void {
    if (at >= this.#sweepAt || at === Infinity || this.#state === 'closed') return;
    if (this.#sweepTimer !== undefined) this.#clock.clearTimeout(this.#sweepTimer);
    this.#sweepAt = at;
    const delayMs = Math.min(Math.max(at - this.#clock.now(), 1), 2 ** 31 - 1);
    this.#sweepTimer = this.#clock.setTimeout(() => {
      this.#sweep();
    }, delayMs);
  }

  /** Closes what is too old or idle for too long, takes back leaked leases, and sets the next date. */
  #sweep(): void {
    const now = this.#clock.now();
    const lateness = now - this.#sweepAt;
    this.#sweepTimer = undefined;
    this.#sweepAt = Infinity;
    // The process was frozen: nobody could have used a connection meanwhile, so that time does not count.
    if (lateness > MAX_LATENESS_MS) this.#forgive(lateness);
    this.#sweepIdle(now);
    this.#sweepAged(now);
    this.#sweepLeases(now);
    this.pump();
  }

  #forgive(frozenMs: number): void {
    for (const member of this.#members) {
      member.idleSince += frozenMs;
      member.retireAt += frozenMs;
    }
    for (const lease of this.#leases) lease.since += frozenMs;
  }

  #sweepIdle(now: number): void {
    const { idleTimeoutMs, min } = this.#settings;
    if (idleTimeoutMs === 0) return;
    for (let member = this.#idle.last; member !== undefined && this.#members.size > min; member = this.#idle.last) {
      const due = member.idleSince + idleTimeoutMs;
      if (due > now) {
        this.#armSweep(due);
        return;
      }
      this.#drop(member, 'idle');
    }
  }

  #sweepAged(now: number): void {
    let next = Infinity;
    for (const member of this.#members) {
      if (now < member.retireAt) next = Math.min(next, member.retireAt);
      else if (member.state === 'idle') this.#drop(member, 'lifetime');
    }
    this.#armSweep(next);
  }

  #sweepLeases(now: number): void {
    const { leakWarnMs, leakReclaimMs } = this.#settings;
    let next = Infinity;
    for (const lease of this.#leases) {
      const { since } = lease;
      const reclaimAt = leakReclaimMs > 0 ? since + leakReclaimMs : Infinity;
      const warnAt = leakWarnMs > 0 && !lease.isReported ? since + leakWarnMs : Infinity;
      if (now >= reclaimAt) this.#reclaim(lease, now - lease.since);
      else if (now >= warnAt) {
        lease.isReported = true;
        this.#events.leaked?.(lease, now - lease.since, false);
        next = Math.min(next, reclaimAt);
      } else next = Math.min(next, warnAt, reclaimAt);
    }
    this.#armSweep(next);
  }

  #reclaim(lease: Lease<R>, heldMs: number): void {
    if (!lease.reclaim()) return;
    this.#leases.remove(lease);
    this.#slotsTaken -= 1;
    this.#reclaimed += 1;
    this.#drop(lease.member, 'reclaimed');
    this.#events.leaked?.(lease, heldMs, true);
  }

  // Errors

  #timeoutError(waiter: Waiter<R>): PooledTcpError {
    const elapsedMs = this.#clock.now() - waiter.since;
    const cause = this.#lastFailure;
    const why =
      cause === undefined
        ? ''
        : `; the last dial failed ${Math.round(this.#clock.now() - cause.at)} ms ago: ${describeCause(cause.error)}`;
    return new PooledTcpError(
      'PTCP_ACQUIRE_TIMEOUT',
      `no connection to ${this.#label} came free within ${Math.round(elapsedMs)} ms (${this.#counts()})${why}`,
      { elapsedMs, cause: cause?.error },
    );
  }

  #exhaustedError(): PooledTcpError {
    return new PooledTcpError(
      'PTCP_POOL_EXHAUSTED',
      `${this.#queue.size} callers already wait for a connection to ${this.#label}, as many as pool.maxWaiters allows (${this.#counts()})`,
      { cause: this.#lastFailure?.error },
    );
  }

  #closedError(): PooledTcpError {
    return new PooledTcpError(
      'PTCP_POOL_CLOSED',
      `the pool of ${this.#label} is ${this.#state === 'draining' ? 'draining' : 'closed'}`,
    );
  }

  #counts(): string {
    const { total, idle, active, connecting, waiting } = this.stats();
    return `total ${total}, idle ${idle}, active ${active}, connecting ${connecting}, waiting ${waiting}, max ${this.#settings.max}`;
  }
}

function aborted(signal: AbortSignal, elapsedMs: number): PooledTcpError {
  return new PooledTcpError('PTCP_ABORTED', 'the caller gave up waiting for a connection', {
    elapsedMs,
    cause: signal.reason,
  });
}
