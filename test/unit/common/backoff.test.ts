import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Backoff, backoffRules } from '../../../lib/common/backoff.js';
import { resolveOptions } from '../../../lib/common/options.js';

const settings = resolveOptions(backoffRules, {});
/** The middle of the random range: no jitter. */
const middle = (): number => 0.5;

describe('Backoff', () => {
  it('grows by its factor from the first delay', () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 30_000, factor: 1.6, jitter: 0.2 }, middle);

    expect([backoff.next(), backoff.next(), backoff.next()].map(Math.round)).toEqual([100, 160, 256]);
  });

  it('stays at the longest delay, however often it fails', () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 1_000, factor: 2, jitter: 0 }, middle);
    for (let i = 0; i < 5_000; i++) backoff.next();

    expect(backoff.next()).toBe(1_000);
  });

  it('begins anew after a success', () => {
    const backoff = new Backoff(settings, middle);
    backoff.next();
    backoff.next();
    expect(backoff.attempts).toBe(2);
    backoff.reset();

    expect(backoff.attempts).toBe(0);
    expect(backoff.next()).toBe(settings.initialMs);
  });

  it('has the delays that it documents', () => {
    expect(settings).toEqual({ initialMs: 100, maxMs: 30_000, factor: 1.6, jitter: 0.2 });
  });

  it('keeps every delay within its jitter of the exact one', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(random, { minLength: 1, maxLength: 40 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (draws, jitter) => {
          const exact = new Backoff({ ...settings, jitter: 0 });
          let drawn = 0;
          const jittered = new Backoff({ ...settings, jitter }, () => drawn);
          for (const draw of draws) {
            drawn = draw;
            const expected = exact.next();
            const delay = jittered.next();
            expect(delay).toBeGreaterThanOrEqual(expected * (1 - jitter) - 1e-6);
            expect(delay).toBeLessThanOrEqual(expected * (1 + jitter) + 1e-6);
          }
        },
      ),
    );
  });
});
