import type { Alarm } from '../common/alarm.js';
import type { Clock, Timer } from '../common/clock.js';
import { wasFrozen } from '../common/frozen.js';
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
  /** A member that was asked for a sign of life has given one, or has been closed for not giving one. */
  readonly answered: () => void;
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

  /** Free slots of members that are open and are lent as soon as they have given a sign of life. */
  get slotsInQuestion(): number {
    let slots = 0;
    for (const member of this.#all) {
      const { state } = member;
      if (state === 'idle' || state === 'validating' || (state === 'active' && member.isDoubted))
        slots += this.slots - member.inFlight;
    }
    return slots;
  }

  /** Members that are not about to be closed. */
  get staying(): number {
    let staying = 0;
    for (const member of this.#all) if (member.retirement === 'none') staying += 1;
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
    // Make before break: what this one replaces can go now.
    for (const idle of this.#idle) this.#dropIfReplaced(idle);
    return member;
  }

  /** The member that takes the next caller: one without calls, the most recently used; else the least loaded. */
  pick(whole: boolean): Member<R> | undefined {
    const idle = this.#pickIdle();
    return idle !== undefined || whole || this.slots === 1 ? idle : this.#leastLoaded();
  }

  take(member: Member<R>, as: 'active' | 'leased'): void {
    if (member.state === 'idle') {
      this.#idle.remove(member);
      member.move(as);
      member.isReserved = false;
      member.isDoubted = false;
    }
    member.inFlight += 1;
  }

  /** A slot of it is free again. */
  giveBack(member: Member<R>): void {
    member.inFlight -= 1;
    if (member.inFlight === 0) this.#settle(member);
  }

  /** The peer takes no new calls on it: closed at once, or once its calls are over. */
  refuse(member: Member<R>): void {
    member.retirement = 'refusing';
    member.retireReason = 'retired';
    if (member.state === 'idle') this.drop(member, 'retired');
    else this.#factory.retiring?.(member.resource);
  }

  /** To be closed once its calls are over and there is another in its place. */
  retire(member: Member<R>, reason: CloseReason): void {
    if (member.retirement !== 'none') return;
    member.retirement = 'due';
    member.retireReason = reason;
    // Calls that come meanwhile wait for the replacement, and in vain where its own calls are streams that do
    // not end: after a third of the time they have, it takes calls again.
    member.overdueAt = this.#clock.now() + Math.floor(this.#settings.acquireTimeoutMs / 3);
    this.#options.dates.setAt(member.overdueAt);
    this.#dropIfReplaced(member);
    if (member.state !== 'gone') this.#factory.retiring?.(member.resource);
  }

  /** The pool takes no more callers: those that are in use go once they are free. */
  drain(): void {
    for (const member of this.#all) if (member.state !== 'idle') this.#factory.retiring?.(member.resource);
  }

  retireAll(): void {
    for (const member of this.#all) this.retire(member, 'retired');
  }

  /** Closes an idle one that is to be replaced and has not been, so that its replacement has a place. */
  makeRoom(): void {
    for (const member of this.#idle) {
      if (member.retirement === 'none') continue;
      this.drop(member, member.retireReason);
      return;
    }
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
   * One has died, and the others may have died with it, without a word: none is lent before it has given a sign of
   * life. Those that carry calls are asked now, those that are idle when somebody wants them.
   */
  doubtAll(): void {
    if (this.#factory.validate === undefined) return;
    for (const member of this.#all) {
      member.isDoubted = true;
      if (member.state === 'active' && this.slots > 1) this.#askInUse(member);
    }
  }

  /** Asks the idle member that was used last, and has been silent since, for a sign of life; false without one. */
  validateNext(): boolean {
    const member = this.#idle.first;
    const sign = member !== undefined && !this.#isFresh(member) ? this.#factory.validate?.(member.resource) : undefined;
    if (member === undefined || sign === undefined) return false;
    this.#idle.remove(member);
    member.move('validating');
    // A third of the budget: a caller that meets a dead connection has time left for a live one.
    const timeoutMs = Math.max(1, Math.floor(this.#settings.acquireTimeoutMs / 3));
    const ask = (): void => {
      const dueAt = this.#clock.now() + timeoutMs;
      const onTimeout = (): void => {
        if (wasFrozen(this.#clock.now() - dueAt, timeoutMs)) ask();
        else answer(false);
      };
      this.#validating.set(member, this.#clock.setTimeout(onTimeout, timeoutMs));
    };
    const answer = (isAlive: boolean): void => {
      // Answered before, or lost meanwhile.
      if (!this.#endValidation(member)) return;
      if (isAlive) {
        member.isDoubted = false;
        // Whoever waits gets it now, however short the time after which it has to be asked again.
        member.isFreshNow = true;
        this.#settle(member);
      } else {
        this.drop(member, 'invalid');
        this.doubtAll();
      }
      this.#options.answered();
      member.isFreshNow = false;
    };
    ask();
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
      if (member.retirement === 'none' && now >= member.retireAt) this.retire(member, 'lifetime');
      if (member.retirement === 'due' && now >= member.overdueAt) member.retirement = 'overdue';
      if (member.retirement === 'none') this.#options.dates.setAt(member.retireAt);
      if (member.retirement === 'due') this.#options.dates.setAt(member.overdueAt);
    }
  }

  /** The process was frozen for so long, and nobody could have used a connection: that time does not count. */
  forgive(frozenMs: number): void {
    for (const member of this.#all) {
      member.idleSince += frozenMs;
      member.retireAt += frozenMs;
    }
  }

  /** It goes on with its calls meanwhile; should it not answer, the heartbeat is what ends them, or their deadlines. */
  #askInUse(member: Member<R>): void {
    const question = this.#factory.validate?.(member.resource);
    member.question = question;
    question?.then(
      () => {
        if (member.state === 'gone' || member.question !== question) return;
        member.question = undefined;
        member.isDoubted = false;
        this.#options.answered();
      },
      () => {
        // It stays in doubt.
      },
    );
  }

  /** The idle member that was used last and needs no question; one to be replaced only where there is no other. */
  #pickIdle(): Member<R> | undefined {
    let retiring: Member<R> | undefined;
    for (let member = this.#idle.first; member !== undefined; member = member.next) {
      if (!this.#isFresh(member)) continue;
      if (member.retirement === 'none') return member;
      retiring ??= member;
    }
    return retiring;
  }

  #leastLoaded(): Member<R> | undefined {
    let best: Member<R> | undefined;
    let overdue: Member<R> | undefined;
    for (const member of this.#all) {
      const { state, isReserved, retirement, inFlight } = member;
      if (state !== 'active' || isReserved || inFlight >= this.slots || member.isDoubted) continue;
      if (retirement === 'none' && (best === undefined || inFlight < best.inFlight)) best = member;
      if (retirement === 'overdue' && (overdue === undefined || inFlight < overdue.inFlight)) overdue = member;
    }
    return best ?? overdue;
  }

  #isFresh(member: Member<R>): boolean {
    if (this.#factory.validate === undefined) return true;
    if (member.isDoubted) return false;
    if (member.isFreshNow) return true;
    const { validateAfterIdleMs } = this.#settings;
    const now = this.#clock.now();
    return now - member.freshAt <= validateAfterIdleMs || now - this.#aliveAt(member) <= validateAfterIdleMs;
  }

  #aliveAt({ resource }: Member<R>): number {
    return this.#factory.lastAliveAt?.(resource) ?? -Infinity;
  }

  /** A member has just become free: it is put with the idle ones, or closed. */
  #settle(member: Member<R>): void {
    const { mode, max } = this.#settings;
    member.move('idle');
    // In a full pool its replacement needs its place.
    const isInTheWay = member.retirement !== 'none' && this.size >= max;
    if (member.retirement === 'refusing' || isInTheWay) this.drop(member, member.retireReason);
    else if (mode === 'short' || this.size > max) this.drop(member, 'surplus');
    else {
      this.#toIdle(member);
      this.#dropIfReplaced(member);
    }
  }

  #dropIfReplaced(member: Member<R>): void {
    if (member.retirement === 'none' || member.state !== 'idle' || this.staying < this.#settings.min) return;
    this.drop(member, member.retireReason);
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
