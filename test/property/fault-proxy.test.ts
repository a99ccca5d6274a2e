import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { Lane } from '../../lib/testing/lane.js';
import { FaultProxy } from '../../lib/testing/index.js';
import { seededRandom } from '../../lib/testing/random.js';
import { StepClock } from '../support/step-clock.js';

/** Faults that may delay and cut, and must not change a byte. */
const harmless = fc.record(
  {
    latencyMs: fc.nat(50),
    jitterMs: fc.nat(50),
    bytesPerSecond: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 1_000_000 })),
    sliceBytes: fc.nat(5),
    stall: fc.boolean(),
  },
  { requiredKeys: [] },
);

const step = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), bytes: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ kind: fc.constant('set' as const), faults: harmless }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(100) }),
  fc.record({ kind: fc.constant('take' as const) }),
);

describe('delays, slices and stalls', () => {
  it('leave the stream as it was, whatever is set in whatever order, and stop the source at the window', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer(), (steps, seed) => {
        const clock = new StepClock();
        const sent: Buffer[] = [];
        const got: Buffer[] = [];
        const untaken: (() => void)[] = [];
        const flow = { isEnded: false, isPaused: false };
        const lane = new Lane({
          source: { pause: () => (flow.isPaused = true), resume: () => (flow.isPaused = false) },
          sink: {
            write: (bytes, taken) => {
              expect(untaken).toHaveLength(0);
              expect(flow.isEnded).toBe(false);
              got.push(bytes);
              untaken.push(taken);
            },
            end: () => (flow.isEnded = true),
            reset: () => expect('a reset').toBe('none'),
          },
          clock,
          random: seededRandom(seed),
          windowBytes: 500,
          onReset: () => expect('a reset').toBe('none'),
        });
        const take = (): void => {
          for (let taken = untaken.shift(); taken !== undefined; taken = untaken.shift()) taken();
        };
        for (const one of steps) {
          if (one.kind === 'send') {
            if (flow.isPaused) continue;
            sent.push(Buffer.from(one.bytes));
            lane.receive(Buffer.from(one.bytes));
          } else if (one.kind === 'set') lane.set(one.faults);
          else if (one.kind === 'pass') clock.advance(one.ms);
          else take();
          expect(flow.isPaused).toBe(lane.heldBytes > (flow.isPaused ? 250 : 500));
        }
        lane.sourceEnded();
        lane.set({ stall: false, bytesPerSecond: 0 });
        for (let i = 0; i < 300 || untaken.length > 0; i++) {
          take();
          clock.advance(1);
        }
        expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true);
        expect(flow.isEnded).toBe(true);
        expect(lane.heldBytes).toBe(0);
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('leave the stream as it was on real sockets too, both ways at once', async () => {
    const server = createServer((socket) => socket.pipe(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await fc.assert(
      fc.asyncProperty(
        fc.record({ latencyMs: fc.nat(3), jitterMs: fc.nat(3), bytesPerSecond: fc.constantFrom(0, 50_000_000) }),
        fc.constantFrom(0, 7, 1000),
        fc.integer({ min: 1, max: 20_000 }),
        async (faults, sliceBytes, size) => {
          const proxy = await FaultProxy.listen({ target: { host: '127.0.0.1', port }, windowBytes: 4096 });
          proxy.set({ ...faults, sliceBytes });
          const bytes = randomBytes(size);
          const client = connect(proxy.port, '127.0.0.1');
          const echoed = createHash('sha256');
          client.on('data', (chunk: Buffer) => echoed.update(chunk));
          client.end(bytes);
          await once(client, 'close');
          expect(echoed.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
          await proxy.close();
        },
      ),
      { numRuns: 30 },
    );
    await new Promise((resolve) => server.close(resolve));
  }, 30_000);
});
