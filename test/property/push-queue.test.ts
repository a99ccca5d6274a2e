import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PushQueue } from '../../lib/server/push/push-queue.js';
import type { SlowReaderPolicy } from '../../lib/server/push/push-settings.js';
import { runs } from '../support/runs.js';

const MAX_BYTES = 1_000;

type Step =
  { readonly add: SlowReaderPolicy; readonly key: string; readonly bytes: number } | { readonly take: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      add: fc.constantFrom<SlowReaderPolicy>('dropOldest', 'latestOnly', 'disconnect'),
      key: fc.constantFrom('a', 'b', 'c'),
      bytes: fc.oneof(
        { weight: 9, arbitrary: fc.integer({ min: 1, max: 400 }) },
        { weight: 1, arbitrary: fc.integer({ min: 900, max: 2_000 }) },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 4 }) }) },
);

interface Item {
  readonly order: number;
  readonly policy: SlowReaderPolicy;
  readonly key: string;
  readonly bytes: number;
}

/** The rules, said with one array. */
class Model {
  waiting: Item[] = [];
  dropped = 0;
  superseded = 0;

  get bytes(): number {
    return sum(this.waiting);
  }

  add(item: Item): boolean {
    const { policy, key, bytes } = item;
    if (policy === 'latestOnly') {
      const left = this.waiting.filter((other) => other.policy !== 'latestOnly' || other.key !== key);
      this.superseded += this.waiting.length - left.length;
      this.waiting = left;
    }
    const kept = this.waiting.filter((other) => other.policy === 'disconnect');
    if (kept.length > 0 && sum(kept) + bytes > MAX_BYTES) {
      if (policy === 'disconnect') return false;
      this.dropped += 1;
      return true;
    }
    while (this.bytes + bytes > MAX_BYTES) {
      const oldest = this.waiting.findIndex((other) => other.policy !== 'disconnect');
      if (oldest < 0) break;
      this.waiting.splice(oldest, 1);
      this.dropped += 1;
    }
    this.waiting.push(item);
    return true;
  }
}

function sum(items: readonly Item[]): number {
  return items.reduce((total, { bytes }) => total + bytes, 0);
}

describe('the queue of pushes for one client', () => {
  it('does what the rules say, whatever comes, and stays within its bound', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tally = { dropped: 0, superseded: 0 };
        const queue = new PushQueue(MAX_BYTES, tally);
        const model = new Model();
        const orders = new Map<object, number>();
        const taken: number[] = [];
        let added = 0;
        const take = (): void => {
          const push = queue.take();
          const expected = model.waiting.shift();
          expect(push && orders.get(push.message)).toBe(expected?.order);
          if (expected !== undefined) taken.push(expected.order);
        };
        for (const it of steps) {
          if ('take' in it) {
            for (let i = 0; i < it.take; i++) take();
          } else {
            const message = { bytes: it.bytes, parts: [] };
            orders.set(message, added);
            const hasRoom = queue.add(message, it.add, it.key);
            expect(hasRoom).toBe(model.add({ order: added, policy: it.add, key: it.key, bytes: it.bytes }));
            added += 1;
            if (!hasRoom) break;
          }
          expect(queue).toMatchObject({ size: model.waiting.length, bytes: model.bytes });
          expect(tally).toEqual({ dropped: model.dropped, superseded: model.superseded });
          expect(queue.bytes <= MAX_BYTES || queue.size === 1).toBe(true);
        }
        while (queue.size > 0) take();
        expect(queue.bytes).toBe(0);
        expect(taken).toEqual(taken.toSorted((a, b) => a - b));
        const lost = tally.dropped + tally.superseded;
        expect(added - taken.length - lost).toBeLessThanOrEqual(1);
      }),
      { numRuns: runs(500) },
    );
  });

  it('loses nothing that must not be dropped, unless it says so', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new PushQueue(MAX_BYTES, { dropped: 0, superseded: 0 });
        const sure: object[] = [];
        const out: (object | undefined)[] = [];
        for (const it of steps) {
          if ('take' in it) {
            for (let i = 0; i < it.take; i++) out.push(queue.take()?.message);
            continue;
          }
          const message = { bytes: it.bytes, parts: [] };
          if (!queue.add(message, it.add, it.key)) break;
          if (it.add === 'disconnect') sure.push(message);
        }
        while (queue.size > 0) out.push(queue.take()?.message);
        const got = new Set(out);
        expect(sure.filter((message) => !got.has(message))).toEqual([]);
      }),
      { numRuns: runs(500) },
    );
  });
});
