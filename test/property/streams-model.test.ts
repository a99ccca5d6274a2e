import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ItemSink } from '../../lib/connection/item-sink.js';
import { pump } from '../../lib/connection/pump.js';
import { PullReply } from '../../lib/nest/pull-reply.js';
import { chunksOf } from '../support/bytes.js';
import { HeldBytes } from '../support/held-bytes.js';
import type { MemoryTransport } from '../support/memory-transport.js';
import { runs } from '../support/runs.js';
import { linkedClient } from '../unit/client/stream-setup.js';

/** One stream: who makes how much of it, who takes how much of that, and how fast. */
interface Plan {
  readonly direction: 'down' | 'up';
  /** A source that can wait does; another sends all it has at once. */
  readonly isPaced: boolean;
  /** Bytes of each item. */
  readonly sizes: readonly number[];
  /** Items after which the consumer leaves. */
  readonly leavesAfter: number | undefined;
  /** Turns of the event loop that the consumer, and the source, spend on each item. */
  readonly idle: { readonly consumer: number; readonly source: number };
}

const plan: fc.Arbitrary<Plan> = fc.record({
  direction: fc.constantFrom('down' as const, 'up' as const),
  isPaced: fc.boolean(),
  sizes: fc.array(
    fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 1, max: 3_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: 131_000, max: 300_000 }) },
    ),
    { maxLength: 25 },
  ),
  leavesAfter: fc.option(fc.nat({ max: 20 }), { nil: undefined, freq: 3 }),
  idle: fc.record({ consumer: fc.nat({ max: 3 }), source: fc.nat({ max: 3 }) }),
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn();
}

/** Both ends of the connection receive in pieces of these sizes. */
function cutInto(transport: MemoryTransport, sizes: readonly number[]): void {
  const deliver = transport.deliver.bind(transport);
  transport.deliver = (bytes) => {
    for (const chunk of bytes.length < 20_000 ? chunksOf(bytes, sizes) : [bytes]) deliver(chunk);
  };
}

async function* source({ sizes, idle }: Plan): AsyncGenerator<string> {
  for (const [i, size] of sizes.entries()) {
    await turns(idle.source);
    yield `${i}:${'x'.repeat(size)}`;
  }
}

function feed(stream: Plan, sink: ItemSink): () => void {
  if (stream.isPaced)
    return pump(source(stream), sink, (error) => {
      throw error;
    });
  stream.sizes.forEach((size, i) => {
    sink.item(`${i}:${'x'.repeat(size)}`);
  });
  sink.complete();
  return () => undefined;
}

/** Takes items at the consumer's pace; resolves with how many came, which must be in order and whole. */
async function consume(items: AsyncIterable<unknown>, { sizes, leavesAfter, idle }: Plan): Promise<number> {
  let count = 0;
  if (leavesAfter === 0) return count;
  for await (const item of items) {
    const text = item as string;
    expect(text.slice(0, text.indexOf(':'))).toBe(String(count));
    expect(text.length - text.indexOf(':') - 1).toBe(sizes[count]);
    count += 1;
    if (count === leavesAfter) break;
    await turns(idle.consumer);
  }
  return count;
}

let held: HeldBytes;
beforeEach(() => {
  held = new HeldBytes();
});
afterEach(() => {
  held.restore();
});

describe('any number of streams on one connection, both ways, at any pace, left at any item', () => {
  it('reach their consumers in order and whole, or up to where they were left, and leave nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(plan, { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(1_024, 5_000, 262_144),
        async (plans, sizes, streamWindowBytes) => {
          const { client, clock, peer, links, end } = await linkedClient({
            client: { streamWindowBytes },
            server: { streamWindowBytes },
          });
          for (const { client: one, server: other } of links) {
            cutInto(one, sizes);
            cutInto(other, sizes);
          }
          const uploads = new Map<string, Promise<number>>();
          peer.onCall = (call) => {
            const stream = plans[Number(call.pattern)];
            if (stream === undefined) throw new Error('a call that nobody has made');
            if (stream.direction === 'down') call.onCancel(feed(stream, call));
            else if (call.incoming !== undefined) {
              const taken = consume(call.incoming, stream);
              uploads.set(String(call.pattern), taken);
              void taken.then((count) => {
                call.respond(count);
              });
            }
          };
          const outcomes = plans.map(async (stream, i) => {
            const route = String(i);
            const reply = new PullReply(route);
            const isStreaming = stream.direction === 'up';
            const upload = isStreaming ? { start: (sink: ItemSink) => feed(stream, sink) } : undefined;
            const call = client.call(
              { pattern: route, route, data: undefined, metadata: undefined, isStreaming },
              reply,
              {
                timeoutMs: 1_000,
                upload,
              },
            );
            reply.attach(call);
            const expected = Math.min(stream.sizes.length, stream.leavesAfter ?? Infinity);
            if (stream.direction === 'down') {
              expect(await consume(reply.items, stream)).toBe(expected);
              reply.items.abandon();
            } else {
              expect((await reply.items.next()).value).toBe(expected);
              expect((await reply.items.next()).done).toBe(true);
              expect(await uploads.get(route)).toBe(expected);
            }
          });
          let isOver = false as boolean;
          const all = Promise.all(outcomes).finally(() => {
            isOver = true;
          });
          // Time stands still, so that a stream without credit would wait for ever: these turns are plenty.
          for (let turn = 0; turn < 20_000 && !isOver; turn++) await nextTurn();
          expect(isOver).toBe(true);
          await all;
          await turns(30);
          expect(held.total).toBe(0);
          expect(peer.inFlight).toBe(0);
          expect(client.stats()).toMatchObject({ inFlight: 0, total: 1, failures: 0 });
          await end();
          clock.advance(0);
          // The deadlines' common timers ring once more and then are gone; those of the connection went with it.
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: runs(60) },
    );
  }, 600_000);
});
