import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Hedge } from '../../../lib/client/hedge.js';
import { RetryBudget } from '../../../lib/client/retry-budget.js';
import { StepClock } from '../../support/step-clock.js';

const DEFAULTS = { ratio: 0.2, minPerSecond: 10 };

/** How many retries are granted at this moment. */
function drain(budget: RetryBudget, now: number): number {
  let granted = 0;
  while (granted < 100_000 && budget.tryRetry(now)) granted += 1;
  return granted;
}

describe('a retry budget', () => {
  it('allows one retry for five requests, beside its reserve', () => {
    const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 0 });
    expect(budget.tryRetry(1_000)).toBe(false);
    for (let i = 0; i < 4; i++) budget.requested(1_000);
    expect(budget.tryRetry(1_000)).toBe(false);
    budget.requested(1_000);
    expect(drain(budget, 1_000)).toBe(1);
  });

  it('allows ten a second to a client that makes no requests', () => {
    const budget = new RetryBudget(DEFAULTS);
    expect(drain(budget, 0)).toBe(100);
    expect(drain(budget, 9_999)).toBe(0);
    expect(drain(budget, 10_000)).toBe(100);
  });

  it('forgets requests after ten seconds', () => {
    const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 0 });
    for (let i = 0; i < 500; i++) budget.requested(500);
    expect(budget.tryRetry(9_999)).toBe(true);
    expect(drain(budget, 10_000)).toBe(0);
  });

  it('stays exact over millions of requests', () => {
    const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 0 });
    let granted = 0;
    for (let i = 0; i < 1_000_000; i++) {
      budget.requested(i / 100);
      if (i % 5 === 4 && budget.tryRetry(i / 100)) granted += 1;
    }
    expect(granted).toBe(200_000);
  });

  it('grants in no ten seconds more than the ratio of twenty seconds and the reserve of them, whatever happens', () => {
    const steps = fc.array(
      fc.record({ afterMs: fc.nat({ max: 3_000 }), requests: fc.nat({ max: 60 }), retries: fc.nat({ max: 60 }) }),
      { minLength: 1, maxLength: 80 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const budget = new RetryBudget(DEFAULTS);
        const events: { at: number; requests: number; granted: number }[] = [];
        let now = 0;
        for (const { afterMs, requests, retries } of all) {
          now += afterMs;
          for (let i = 0; i < requests; i++) budget.requested(now);
          let granted = 0;
          for (let i = 0; i < retries; i++) if (budget.tryRetry(now)) granted += 1;
          events.push({ at: now, requests, granted });
        }
        for (const { at } of events) {
          const sum = (key: 'requests' | 'granted', spanMs: number): number =>
            events
              .filter((event) => event.at > at - spanMs && event.at <= at)
              .reduce((total, event) => total + event[key], 0);
          expect(sum('granted', 10_000)).toBeLessThanOrEqual(0.2 * sum('requests', 20_000) + 200 + 1e-6);
        }
      }),
    );
  });

  it('refuses nobody who stays below the ratio', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 900 }), { maxLength: 100 }), (gaps) => {
        const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 0 });
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          for (let i = 0; i < 5; i++) budget.requested(now);
          expect(budget.tryRetry(now)).toBe(true);
        }
      }),
    );
  });
});

describe('a hedge', () => {
  function hedge(minPerSecond = 10) {
    const clock = new StepClock();
    const budget = new RetryBudget({ ratio: 0.2, minPerSecond });
    let begun = 0;
    const made = new Hedge(clock, budget, 50, () => {
      begun += 1;
    });
    return { clock, budget, made, begun: () => begun };
  }

  it('makes one second call after the delay, and no third', () => {
    const { clock, begun } = hedge();
    clock.advance(49);
    expect(begun()).toBe(0);
    clock.advance(1);
    expect(begun()).toBe(1);
    clock.advance(10_000);
    expect(begun()).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('makes none when the call is answered before', () => {
    const { clock, made, begun } = hedge();
    clock.advance(49);
    made.stop();
    made.stop();
    expect(clock.pending).toBe(0);
    clock.advance(1_000);
    expect(begun()).toBe(0);
  });

  it('makes none when the budget is used up, and takes from it when it does', () => {
    const { clock, begun } = hedge(0);
    clock.advance(50);
    expect(begun()).toBe(0);
    const paid = hedge(0.1);
    paid.clock.advance(50);
    expect(paid.begun()).toBe(1);
    expect(paid.budget.tryRetry(paid.clock.now())).toBe(false);
  });
});
