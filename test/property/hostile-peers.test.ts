import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Client } from '../../lib/client/client.js';
import { resolveClientOptions } from '../../lib/client/settings.js';
import { pump } from '../../lib/connection/pump.js';
import { isErrorCode } from '../../lib/errors/codes.js';
import type { PooledTcpError } from '../../lib/errors/pooled-tcp-error.js';
import { Output } from '../../lib/framing/output.js';
import { writeHello, writeWelcome } from '../../lib/protocol/hello.js';
import { FLAG, FRAGMENT_FLAG, PAYLOAD, TYPE } from '../../lib/protocol/native/format.js';
import type { ServerCall } from '../../lib/server/server-call.js';
import { chunksOf } from '../support/bytes.js';
import { HeldBytes } from '../support/held-bytes.js';
import { RecordingLogger } from '../support/logs.js';
import { MemoryTransport } from '../support/memory-transport.js';
import { runs } from '../support/runs.js';
import { settled, StepClock } from '../support/step-clock.js';
import { HandSource, Puller } from '../unit/client/stream-setup.js';
import { SessionPeer } from '../unit/connection/session-peer.js';
import { nativeFrame, uint16, uint32 } from '../unit/protocol/harness.js';

const WINDOW = 2_048;
const MAX_FRAME = 4_096;
const MAX_PENDING = 64 * 1024;
const HELLO = { versions: [1], maxFrameBytes: MAX_FRAME, streamWindowBytes: WINDOW };

const id = fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 4 }) }, fc.constantFrom(0, 5, 2 ** 32 - 1));
const size = fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(1_000, 2_000, 3_900));
const bytes = (count: number): Buffer => Buffer.alloc(count, 0x78);

/** What either end may send the other, obeying nothing. */
const anyway = fc.oneof(
  fc.tuple(id, size).map(([call, count]) => nativeFrame(TYPE.item, PAYLOAD.raw, uint32(call), bytes(count))),
  id.map((call) =>
    Buffer.concat(Array.from({ length: 10 }, () => nativeFrame(TYPE.item, PAYLOAD.raw, uint32(call), bytes(1_000)))),
  ),
  id.map((call) => nativeFrame(TYPE.item, PAYLOAD.json, uint32(call), '{"not":')),
  id.map((call) => nativeFrame(TYPE.end, 0, uint32(call))),
  fc
    .tuple(id, fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 200))
    .map(([call, kind]) => nativeFrame(TYPE.failure, PAYLOAD.json, uint32(call), Buffer.from([kind]), '"why"')),
  fc
    .tuple(id, fc.constantFrom(0, 1, 1_000, 2 ** 32 - 1))
    .map(([call, more]) => nativeFrame(TYPE.credit, 0, uint32(call), uint32(more))),
  fc
    .tuple(id, fc.integer({ min: 1, max: 200 }))
    .map(([call, times]) =>
      Buffer.concat(
        Array.from({ length: times }, () => nativeFrame(TYPE.credit, 0, uint32(call), uint32(2 ** 32 - 1))),
      ),
    ),
  fc
    .tuple(fc.constantFrom(0, 1, 2, 9, 4_092, 4_093, 2 ** 32 - 1), fc.nat({ max: 12 }))
    .map(([total, count]) =>
      nativeFrame(TYPE.fragment, PAYLOAD.raw | FRAGMENT_FLAG.first, uint32(total), bytes(count)),
    ),
  fc.nat({ max: 12 }).map((count) => nativeFrame(TYPE.fragment, PAYLOAD.raw, bytes(count))),
  fc.constant(nativeFrame(TYPE.fragment, FRAGMENT_FLAG.dropped)),
  // A whole message in one fragment: an item, or a fragment again.
  fc.tuple(id, fc.constantFrom<number[]>(TYPE.item, TYPE.fragment)).map(([call, type]) => {
    const inner = Buffer.concat([Buffer.from([type, PAYLOAD.raw]), uint32(call), bytes(20)]);
    return nativeFrame(TYPE.fragment, PAYLOAD.raw | FRAGMENT_FLAG.first, uint32(inner.length), inner);
  }),
  fc.constantFrom(uint32(0), uint32(1), uint32(2 ** 32 - 1), uint32(MAX_FRAME - 3), nativeFrame(0, 0)),
  fc.nat({ max: 9 }).map((token) => nativeFrame(TYPE.ping, 0, uint32(token))),
);

const request = fc
  .tuple(id, fc.constantFrom('keep', 'take', 'make', 'flood', 'large'), fc.boolean())
  .map(([call, pattern, isStreaming]) =>
    nativeFrame(
      TYPE.request,
      FLAG.define | (isStreaming ? FLAG.stream : 0),
      uint32(call),
      uint16(0),
      uint16(pattern.length),
      pattern,
    ),
  );
const cancels = fc
  .tuple(id, fc.integer({ min: 1, max: 50 }))
  .map(([call, times]) =>
    Buffer.concat(Array.from({ length: times }, () => nativeFrame(TYPE.cancel, 0, uint32(call)))),
  );
const answer = fc
  .tuple(id, size)
  .map(([call, count]) => nativeFrame(TYPE.response, PAYLOAD.raw, uint32(call), bytes(count)));

const cuts = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 4 });

/** What handlers do that are asked by a stranger. */
function behave(call: ServerCall, uploads: Set<ServerCall>): void {
  switch (call.pattern) {
    case 'take':
      call.incoming?.observe({ next: () => undefined, error: () => undefined, complete: () => undefined });
      break;
    case 'make': {
      const stop = pump(
        (async function* () {
          for (;;) {
            // A memory's room has no end, and neither has the credit that a stranger may give.
            await nextTurn();
            yield bytes(500);
          }
        })(),
        call,
        () => undefined,
      );
      call.onCancel(stop);
      break;
    }
    case 'flood':
      for (let i = 0; i < 1_000 && call.isRunning; i++) call.item(bytes(1_000));
      break;
    case 'large':
      call.respond(bytes(4_000));
      break;
    default:
      uploads.add(call);
  }
}

/** Counts how often the call has ended. */
class CountingPuller extends Puller {
  ends = 0;

  override complete(): void {
    this.ends += 1;
    super.complete();
  }

  override failed(error: PooledTcpError): void {
    this.ends += 1;
    super.failed(error);
  }

  override handlerFailed(error: unknown): void {
    this.ends += 1;
    super.handlerFailed(error);
  }
}

let held: HeldBytes;
beforeEach(() => {
  held = new HeldBytes();
});
afterEach(() => {
  held.restore();
});

/** The short run is always the same, so that what it reaches can be asserted; a longer one goes further from there. */
const SEED = 1;

describe('a client that obeys nothing', () => {
  it('is answered or closed with a code of ours, holds a bounded number of bytes, and harms nobody else', async () => {
    const codes = new Set<string>();
    let most = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 2, arbitrary: request }, { weight: 3, arbitrary: anyway }, cancels), {
          maxLength: 25,
        }),
        cuts,
        async (frames, sizes) => {
          const clock = new StepClock();
          const peer = new SessionPeer(clock, {
            streamWindowBytes: WINDOW,
            maxFrameBytes: MAX_FRAME,
            maxPendingWriteBytes: MAX_PENDING,
          });
          const uploads = new Set<ServerCall>();
          peer.onCall = (call) => {
            if (call.pattern === 'honest') call.respond('fine');
            else behave(call, uploads);
          };
          const connect = async () => {
            const [end] = peer.accept();
            const received: Buffer[] = [];
            end.start({
              data: (chunk) => received.push(Buffer.from(chunk)),
              drain: () => undefined,
              end: () => undefined,
              close: () => undefined,
            });
            const output = new Output();
            writeHello(output, HELLO);
            end.write(output.take());
            await settled();
            received.length = 0;
            return { end, received };
          };
          const honest = await connect();
          const stranger = await connect();
          for (const chunk of chunksOf(Buffer.concat(frames), sizes)) stranger.end.write([chunk]);
          await settled();

          // Items that nobody has taken: a window of them, and one that may be larger.
          for (const call of uploads) {
            let waiting = 0;
            call.incoming?.observe({
              next: (value) => {
                waiting += (value as Buffer).length;
              },
              error: () => undefined,
              complete: () => undefined,
            });
            expect(waiting).toBeLessThanOrEqual(WINDOW + MAX_FRAME);
            most = Math.max(most, waiting);
          }
          expect(held.most).toBeLessThanOrEqual(MAX_PENDING);

          honest.end.write([nativeFrame(TYPE.request, FLAG.define, uint32(1), uint16(1), uint16(6), 'honest')]);
          await settled();
          expect(
            Buffer.concat(honest.received).equals(nativeFrame(TYPE.response, PAYLOAD.json, uint32(1), '"fine"')),
          ).toBe(true);

          const told = /"code":"(\w+)"/.exec(Buffer.concat(stranger.received).toString('latin1'))?.[1];
          if (told !== undefined) {
            expect(isErrorCode(told)).toBe(true);
            codes.add(told);
          }
          const lines = peer.logger.lines.map(({ message }) => message).join('\n');
          expect(lines).not.toContain('could not be handled');
          expect(lines).not.toContain('no bytes');
          // Whoever was told why has a second to read it.
          await clock.run(1_000);
          if (told !== undefined) expect(peer.sessions).toHaveLength(1);
          stranger.end.destroy();
          honest.end.destroy();
          await settled();
          expect(peer.inFlight).toBe(0);
          expect(held.total).toBe(0);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: runs(300), seed: SEED },
    );
    // They reach far enough to matter.
    expect(most).toBeGreaterThan(WINDOW);
    expect([...codes]).toEqual(expect.arrayContaining(['PTCP_PROTOCOL_VIOLATION', 'PTCP_FRAME_TOO_LARGE']));
  }, 600_000);
});

describe('a server that obeys nothing', () => {
  it('ends each call once, with a code of ours, and leaves nothing at the client', async () => {
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 1, arbitrary: answer }, { weight: 4, arbitrary: anyway }), { maxLength: 25 }),
        cuts,
        async (frames, sizes) => {
          const clock = new StepClock();
          const logger = new RecordingLogger();
          const [clientEnd, serverEnd] = MemoryTransport.pair();
          serverEnd.start({
            data: (chunk) => {
              if (!chunk.toString().includes('pooled-tcp:hello')) return;
              const output = new Output();
              writeWelcome(output, 'pooled-tcp:hello', {
                version: 1,
                maxFrameBytes: MAX_FRAME,
                streamWindowBytes: WINDOW,
                idleTimeoutMs: 0,
                maxPatterns: 10,
              });
              serverEnd.write(output.take());
            },
            drain: () => undefined,
            end: () => undefined,
            close: () => undefined,
          });
          let dials = 0;
          const client = new Client(
            resolveClientOptions({
              endpoints: ['a:1'],
              heartbeat: false,
              maxFrameBytes: MAX_FRAME,
              maxPendingWriteBytes: MAX_PENDING,
              streamWindowBytes: WINDOW,
              pool: { min: 1, max: 1, idleTimeoutMs: 0, maxLifetimeMs: 0 },
            }),
            { connected: () => undefined },
            {
              logger,
              clock,
              // The second dial is never answered.
              connector: (_target, signal) =>
                dials++ === 0
                  ? Promise.resolve(clientEnd)
                  : new Promise((_resolve, reject) => {
                      signal.addEventListener('abort', () => {
                        reject(signal.reason as Error);
                      });
                    }),
            },
          );
          await client.connect();
          const source = new HandSource();
          const callers = ([undefined, undefined, source, undefined] as const).map((upload, i) => {
            const caller = new CountingPuller(i % 2 === 1);
            caller.call = client.call(
              { pattern: 'p', route: 'p', data: 1, metadata: undefined, isStreaming: upload !== undefined },
              caller,
              { timeoutMs: 5_000, upload },
            );
            return caller;
          });
          for (let i = 0; i < 20; i++) source.sink.item('x'.repeat(1_000));
          await settled();
          for (const chunk of chunksOf(Buffer.concat(frames), sizes)) serverEnd.write([chunk]);
          await settled();
          expect(held.most).toBeLessThanOrEqual(MAX_PENDING);
          for (const { items, keepsItems } of callers) {
            const kept = items.reduce<number>((sum, item) => sum + (Buffer.isBuffer(item) ? item.length : 0), 0);
            if (keepsItems) expect(kept).toBeLessThanOrEqual(WINDOW + 2 * MAX_FRAME);
          }
          client.destroy();
          await settled();
          for (const caller of callers) {
            expect(caller.ends).toBe(1);
            if (caller.error === undefined) continue;
            codes.add(caller.error.code);
            expect(isErrorCode(caller.error.code)).toBe(true);
            expect(caller.error.message).not.toContain('could not be handled');
          }
          expect(held.total).toBe(0);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: runs(300) },
    );
    expect([...codes]).toEqual(expect.arrayContaining(['PTCP_PROTOCOL_VIOLATION', 'PTCP_FRAME_TOO_LARGE']));
  }, 600_000);
});
