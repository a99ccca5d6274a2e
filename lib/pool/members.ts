import type { Alarm } from '../common/alarm.js';
import type { Clock, Timer } from '../common/clock.js';
import { LinkedList } from '../common/linked-list.js';
import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Factory } from './factory.js';
import { Member } from './member.js';
import type { PoolSettings } from './settings.js';
import type { CloseReason } from './stats.js';

export interface MembersOptions<R> {
  readonly factory: Factory<R>;
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly random: () => number;
  /** Set to when a member may have become too old. */
  readonly dates: Alarm;
  /** A member is out of the pool. */
  readonly closed: (member: Member<R>, reason: CloseReason, error: PooledTcpError | undefined) => void;
}

/** The open resources of a pool: which are free, which carry what, and how each comes to its end. */
export class Members<R> {
  readonly #options: MembersOptions<R>;
  readonly #factory: Factory<R>;
  readonly #clock: Clock;
  #settings: PoolSettings;
  readonly #all = new Set<Member<R>>();
  /** Idle members, the most recently used first. */
  readonly #idle = new LinkedList<Member<R>>();
  /** Members asked for a sign of life, with the deadline of the question. */
  readonly #validating = new Map<Member<R>, Timer>();

  constructor(options: MembersOptions<R>) {
    this.#options = options;
    this.#factory = options.factory;
    this.#clock = options.clock;
    this.#settings = options.settings;
  }

  get size(): number {
    return this.#all.size;
  }

  get idle(): number {
    return this.#idle.size;
  }

  get validating(): number {
    return this.#validating.size;
  }

  /** Members that are not about to be closed. */
  get staying(): number {
    let staying = 0;
    for (const member of this.#all) if (!member.isRetiring) staying += 1;
    return staying;
  }

  /** Slots of one member. */
  get slots(): number {
    return this.#settings.mode === 'shared' ? this.#settings.maxInFlight : 1;
  }

  add(resource: R): Member<R> {
    const { maxLifetimeMs } = this.#settings;
    const now = this.#clock.now();
    const retireAt = maxLifetimeMs === 0 ? Infinity : now + maxLifetimeMs * (1 - 0.25 * this.#options.random());
    const member = new Member(resource, now, retireAt);
    this.#all.add(member);
    this.#options.dates.setAt(retireAt);
    this.#toIdle(member);
    return member;
  }

  /** The member that takes the next caller: one without calls, the most recently used; else the least loaded. */
  pick(whole: boolean): Member<R> | undefined {
    const idle = this.#idle.first;
    if (idle !== undefined && this.#isFresh(idle)) return idle;
    return whole || this.slots === 1 ? undefined : this.#leastLoaded();
  }

  take(member: Member<R>, as: 'active' | 'leased'): void {
    if (member.state === 'idle') {
      this.#idle.remove(member);
      member.move(as);
      member.isReserved = false;
    }
    member.inFlight += 1;
  }

  /** A slot of it is free again. */
  giveBack(member: Member<R>): void {
    member.inFlight -= 1;
    if (member.inFlight === 0) this.#settle(member);
  }

  retire(member: Member<R>, reason: CloseReason): void {
    member.isRetiring = true;
    if (member.state === 'idle') this.drop(member, reason);
  }

  retireAll(): void {
    for (const member of this.#all) this.retire(member, 'retired');
  }

  find(resource: R): Member<R> | undefined {
    for (const member of this.#all) if (member.resource === resource) return member;
    return undefined;
  }

  drop(member: Member<R>, reason: CloseReason, error?: PooledTcpError): void {
    this.#idle.remove(member);
    this.#endValidation(member);
    if (!member.move('gone')) return;
    this.#all.delete(member);
    if (reason !== 'lost') this.#factory.destroy(member.resource, reason);
    this.#options.closed(member, reason, error);
  }

  dropIdle(reason: CloseReason): void {
    for (const member of this.#idle) this.drop(member, reason);
  }

  dropAll(reason: CloseReason): void {
    for (const member of this.#all) this.drop(member, reason);
  }

  /** New limits: surplus that is idle goes at once, the rest as it comes free. */
  resize(settings: PoolSettings): void {
    this.#settings = settings;
    for (let last = this.#idle.last; last !== undefined && this.size > settings.max; last = this.#idle.last) {
      this.drop(last, 'surplus');
    }
    // Idle times are kept only where they matter, which may just have changed.
    const now = this.#clock.now();
    for (const member of this.#idle) member.idleSince = now;
    this.#watchIdle(now);
  }

  /** Keeps so many connections in use from taking further calls, for callers who want a whole one. */
  reserve(count: number): void {
    if (count === 0) {
      for (const member of this.#all) member.isReserved = false;
      return;
    }
    const active = [...this.#all].filter(({ state }) => state === 'active');
    active.sort((a, b) => Number(b.isReserved) - Number(a.isReserved) || a.inFlight - b.inFlight);
    active.forEach((member, i) => {
      member.isReserved = i < count;
    });
  }

  /**
   * Asks the idle member that was used last, and has been silent since, for a sign of life.
   *
   * @param answered called once it has given one, or has been closed for not giving one
   * @returns false when there is none to be asked
   */
  validateNext(answered: () => void): boolean {
    const member = this.#idle.first;
    const sign = member !== undefined && !this.#isFresh(member) ? this.#factory.validate?.(member.resource) : undefined;
    if (member === undefined || sign === undefined) return false;
    this.#idle.remove(member);
    member.move('validating');
    const answer = (isAlive: boolean): void => {
      // Answered before, or lost meanwhile.
      if (!this.#endValidation(member)) return;
      if (isAlive) this.#settle(member);
      else this.drop(member, 'invalid');
      answered();
    };
    // A third of the budget: a caller that meets a dead connection has time left for a live one.
    const timeoutMs = Math.max(1, Math.floor(this.#settings.acquireTimeoutMs / 3));
    this.#validating.set(
      member,
      this.#clock.setTimeout(() => {
        answer(false);
      }, timeoutMs),
    );
    sign.then(
      () => {
        answer(true);
      },
      () => {
        answer(false);
      },
    );
    return true;
  }

  /** Closes what has been idle for too long or is too old, and sets the next date. */
  sweep(now: number): void {
    this.#sweepIdle(now);
    for (const member of this.#all) {
      if (now >= member.retireAt) this.retire(member, 'lifetime');
      else this.#options.dates.setAt(member.retireAt);
    }
  }

  /** The process was frozen for so long, and nobody could have used a connection: that time does not count. */
  forgive(frozenMs: number): void {
    for (const member of this.#all) {
      member.idleSince += frozenMs;
      member.retireAt += frozenMs;
    }
  }

  #leastLoaded(): Member<R> | undefined {
    let best: Member<R> | undefined;
    for (const member of this.#all) {
      const { state, isReserved, isRetiring, inFlight } = member;
      if (state !== 'active' || isReserved || isRetiring || inFlight >= this.slots) continue;
      if (best === undefined || inFlight < best.inFlight) best = member;
    }
    return best;
  }

  #isFresh(member: Member<R>): boolean {
    if (this.#factory.validate === undefined) return true;
    const { validateAfterIdleMs } = this.#settings;
    const now = this.#clock.now();
    if (now - member.freshAt <= validateAfterIdleMs) return true;
    return now - (this.#factory.lastAliveAt?.(member.resource) ?? -Infinity) <= validateAfterIdleMs;
  }

  /** A member has just become free: it is put with the idle ones, or closed. */
  #settle(member: Member<R>): void {
    const { mode, max } = this.#settings;
    member.move('idle');
    if (member.isRetiring) this.drop(member, this.#clock.now() >= member.retireAt ? 'lifetime' : 'retired');
    else if (mode === 'short' || this.size > max) this.drop(member, 'surplus');
    else this.#toIdle(member);
  }

  #toIdle(member: Member<R>): void {
    member.isReserved = false;
    this.#idle.addFirst(member);
    // Reading the clock is a third of a release: only where something depends on it.
    if (this.#factory.validate === undefined && this.size <= this.#settings.min) return;
    const now = this.#clock.now();
    member.freshAt = now;
    member.idleSince = now;
    this.#watchIdle(now);
  }

  #watchIdle(since: number): void {
    const { min, idleTimeoutMs } = this.#settings;
    if (this.size > min && idleTimeoutMs > 0) this.#options.dates.setAt(since + idleTimeoutMs);
  }

  #sweepIdle(now: number): void {
    const { idleTimeoutMs, min } = this.#settings;
    if (idleTimeoutMs === 0) return;
    for (let last = this.#idle.last; last !== undefined && this.size > min; last = this.#idle.last) {
      const due = last.idleSince + idleTimeoutMs;
      if (due > now) {
        this.#options.dates.setAt(due);
        return;
      }
      this.drop(last, 'idle');
    }
  }

  #endValidation(member: Member<R>): boolean {
    const timer = this.#validating.get(member);
    if (timer === undefined) return false;
    this.#clock.clearTimeout(timer);
    return this.#validating.delete(member);
  }
}
