import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FakeFactory } from '../../support/fake-factory.js';
import { outcomeOf, warmPoolOf } from '../../unit/pool/pool-setup.js';
import { settled } from './world.js';

const CALLS_FOR_ONE = 64;

const bursts = fc.record({
  min: fc.integer({ min: 1, max: 5 }),
  maxWaiters: fc.integer({ min: 0, max: 100 }),
  sizes: fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1, maxLength: 3 }),
  order: fc.infiniteStream(fc.nat(20)),
});

describe('bursts after a silence, of any size', () => {
  it('are all served, and make the pool grow with the root of their size only, whoever answers first', async () => {
    await fc.assert(
      fc.asyncProperty(bursts, async ({ min, maxWaiters, sizes, order }) => {
        const factory = new FakeFactory({ validates: true, dialling: 'succeeds' });
        const { pool, clock } = await warmPoolOf({ mode: 'shared', min, max: 10, maxWaiters }, factory);
        for (const size of sizes) {
          clock.advance(1_000);
          const callers = Array.from({ length: size }, () => outcomeOf(pool.acquire()));
          for (;;) {
            const asked = factory.validations.filter(({ isAnswered }) => !isAnswered);
            if (asked.length === 0) break;
            asked[Number(order.next().value) % asked.length]?.pass();
            await settled();
          }
          expect(callers.filter(({ value }) => value === undefined)).toEqual([]);
          for (const { value } of callers) value?.release();
        }
        const most = Math.floor(Math.sqrt(Math.max(...sizes) / CALLS_FOR_ONE)) + 1;
        expect(factory.dials.length).toBeLessThanOrEqual(Math.max(min, most));
        pool.destroy();
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
