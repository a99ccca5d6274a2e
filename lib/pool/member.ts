import type { Linked } from '../common/linked-list.js';
import type { CloseReason } from './stats.js';

/**
 * - `idle`: nobody uses it; it sits in the pool's idle list
 * - `active`: carries calls, and may take more while it has slots
 * - `leased`: lent whole
 * - `validating`: asked for a sign of life
 * - `gone`: out of the pool, for good
 */
export type MemberState = 'idle' | 'active' | 'leased' | 'validating' | 'gone';

const TRANSITIONS: Readonly<Record<MemberState, readonly MemberState[]>> = {
  idle: ['active', 'leased', 'validating', 'gone'],
  active: ['idle', 'gone'],
  leased: ['idle', 'gone'],
  validating: ['idle', 'gone'],
  gone: [],
};

/**
 * - `none`: goes on
 * - `due`: takes no new calls while it has some, and is closed once it is free and replaced
 * - `overdue`: the same, but its calls do not end: it takes new ones again where nothing else can
 * - `refusing`: the peer takes no new calls; closed once free
 */
export type Retirement = 'none' | 'due' | 'overdue' | 'refusing';

/** One resource in a pool. Written by the pool only. */
export class Member<R> implements Linked<Member<R>> {
  readonly resource: R;
  state: MemberState = 'idle';
  /** Slots taken. */
  inFlight = 0;
  readonly bornAt: number;
  /** When its lifetime is over. */
  retireAt: number;
  retirement: Retirement = 'none';
  /** Why, and when it becomes overdue. */
  retireReason: CloseReason = 'retired';
  overdueAt = Infinity;
  /** Whether a call has come through: until then, its loss counts as a failed dial. */
  isProven = false;
  /**
   * Another was lost, and this one may have been lost with it: not lent before it has answered. That bytes of it
   * are read is no sign: a dead peer may have sent them before.
   */
  isDoubted = false;
  /** The question that was put to it last while in doubt: an earlier one may be answered from before the loss. */
  question: Promise<void> | undefined = undefined;
  /** In the moment in which it has answered or been given back: whoever waits gets it without a question. */
  isFreshNow = false;
  /** When it was last known to work: created, released or validated. */
  freshAt: number;
  /** When it became idle. */
  idleSince: number;
  /** Takes no further slots, because a caller waits to have it whole. */
  isReserved = false;
  previous: Member<R> | undefined = undefined;
  next: Member<R> | undefined = undefined;
  list: object | undefined = undefined;

  constructor(resource: R, now: number, retireAt: number) {
    this.resource = resource;
    this.bornAt = now;
    this.retireAt = retireAt;
    this.freshAt = now;
    this.idleSince = now;
  }

  /** The only place where the state changes; false when that is not allowed from here. */
  move(to: MemberState): boolean {
    if (!TRANSITIONS[this.state].includes(to)) return false;
    this.state = to;
    return true;
  }
}
