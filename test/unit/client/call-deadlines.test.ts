import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CallDeadlines, type TimedCall } from '../../../lib/client/call-deadlines.js';
import { StepClock } from '../../support/step-clock.js';

class Timed implements TimedCall {
  previous: TimedCall | undefined = undefined;
  next: TimedCall | undefined = undefined;
  list: object | undefined = undefined;
  readonly startedAt: number;
  /** When the deadline was told. */
  toldAt: number | undefined;

  constructor(
    private readonly clock: StepClock,
    readonly timeoutMs: number,
    private readonly then: () => void = () => undefined,
  ) {
    this.startedAt = clock.now();
  }

  onDeadline(): void {
    expect(this.toldAt).toBeUndefined();
    this.toldAt = this.clock.now();
    this.then();
  }
}

function deadlines() {
  const clock = new StepClock();
  const all = new CallDeadlines(clock);
  const begin = (timeoutMs: number, then?: () => void): Timed => {
    const call = new Timed(clock, timeoutMs, then);
    all.add(call);
    return call;
  };
  return { clock, all, begin };
}

describe('the deadlines of calls', () => {
  it('are told each in its time, and not at all to calls that are over', () => {
    const step = fc.record({
      timeoutMs: fc.constantFrom(100, 250, 251, 1_000),
      afterMs: fc.nat({ max: 120 }),
      isOver: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, all, begin } = deadlines();
        const calls: { call: Timed; removedAt: number | undefined }[] = [];
        for (const { timeoutMs, afterMs, isOver } of steps) {
          const [oldest] = calls.filter(({ call, removedAt }) => call.toldAt === undefined && removedAt === undefined);
          if (isOver && oldest !== undefined) {
            all.remove(oldest.call);
            oldest.removedAt = clock.now();
          }
          calls.push({ call: begin(timeoutMs), removedAt: undefined });
          clock.advance(afterMs);
        }
        clock.advance(2_000);
        for (const { call, removedAt } of calls)
          expect(call.toldAt).toBe(removedAt === undefined ? call.startedAt + call.timeoutMs : undefined);
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('take one timer for all calls of one time', () => {
    const { clock, all, begin } = deadlines();
    const calls = Array.from({ length: 100 }, () => begin(500));
    expect(clock.pending).toBe(1);
    for (const call of calls) all.remove(call);
    for (const call of calls) all.remove(call);
    expect(clock.pending).toBe(1);
    clock.advance(500);
    expect(clock.pending).toBe(0);
    expect(calls.every(({ toldAt }) => toldAt === undefined)).toBe(true);
  });

  it('take no timer for each of the calls that are over, when every one had a time of its own', () => {
    const { clock, all, begin } = deadlines();
    const stays = begin(77);
    for (let i = 0; i < 10_000; i++) all.remove(begin(1_000 + i / 10));
    expect(clock.pending).toBeLessThan(100);
    clock.advance(77);
    expect(stays.toldAt).toBe(clock.now());
    all.clear();
    expect(clock.pending).toBe(0);
  });

  it('hold for calls that begin when another runs out of time', () => {
    const { clock, begin } = deadlines();
    const later: Timed[] = [];
    begin(100, () => later.push(begin(100), begin(30)));
    clock.advance(100);
    clock.advance(100);
    expect(later.map(({ toldAt, startedAt }) => (toldAt ?? 0) - startedAt)).toEqual([100, 30]);
    expect(clock.pending).toBe(0);
  });

  it('can be cleared, also after a call that ran out of time has begun many others', () => {
    const { clock, all, begin } = deadlines();
    begin(100, () => {
      for (let i = 0; i < 200; i++) begin(200 + i);
      begin(100);
    });
    clock.advance(100);
    all.clear();
    expect(clock.pending).toBe(0);
  });

  it('are all told when the process was frozen, as soon as it goes on', () => {
    const { clock, begin } = deadlines();
    const calls = [begin(100), begin(100), begin(200)];
    clock.freeze(10_000);
    clock.advance(0);
    expect(calls.every(({ toldAt }) => toldAt === clock.now())).toBe(true);
  });
});
