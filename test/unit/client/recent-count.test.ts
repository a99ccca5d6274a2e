import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RecentCount } from '../../../lib/client/recent-count.js';

describe('a count of recent events', () => {
  it('holds what happened within its seconds, and up to one longer', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 200 }),
        (seconds, steps) => {
          const count = new RecentCount(seconds);
          const times: number[] = [];
          let now = 5_000;
          for (const step of steps) {
            now += step;
            count.add(now);
            times.push(now);
            const within = (ms: number): number => times.filter((at) => now - at < ms).length;
            expect(count.total(now)).toBeGreaterThanOrEqual(within(seconds * 1_000));
            expect(count.total(now)).toBeLessThanOrEqual(within((seconds + 1) * 1_000));
          }
          expect(count.total(now + (seconds + 1) * 1_000)).toBe(0);
        },
      ),
    );
  });

  it('says how many there are in a second', () => {
    const count = new RecentCount(10);
    expect(count.perSecond(1_000)).toBe(0);
    for (let i = 0; i < 50; i++) count.add(1_000 + i * 20);
    // As soon as there is a second to look at, and not as if the rest of the window had been idle.
    expect(count.perSecond(1_500)).toBe(50);
    expect(count.perSecond(3_000)).toBe(25);
    expect(count.perSecond(11_000)).toBe(5);
    expect(count.perSecond(12_000)).toBe(0);
  });

  it('stays steady under a steady rate', () => {
    const count = new RecentCount(10);
    for (let now = 0; now < 60_000; now += 10) {
      count.add(now);
      if (now > 2_000) expect(count.perSecond(now)).toBeGreaterThan(99);
      if (now > 2_000) expect(count.perSecond(now)).toBeLessThan(101);
    }
  });
});
