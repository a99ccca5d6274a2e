import type { Linked } from '../common/linked-list.js';

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

/** One resource in a pool. Written by the pool only. */
export class Member<R> implements Linked<Member<R>> {
  readonly resource: R;
  state: MemberState = 'idle';
  /** Slots taken. */
  inFlight = 0;
  /** When its lifetime is over. */
  retireAt: number;
  /** Takes no new work, and is closed once free: too old, or retired for another reason. */
  isRetiring = false;
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
