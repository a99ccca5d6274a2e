import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PooledTcpError } from '../../lib/errors/pooled-tcp-error.js';
import { messagePackCodec } from '../../lib/protocol/msgpack-codec.js';
import type { FailureKind } from '../../lib/protocol/messages.js';
import { chunksOf } from '../support/bytes.js';
import { message, nativeWire, type Heard } from '../unit/protocol/harness.js';

const codec = messagePackCodec();

/** Keys that come again and again, so that structures are defined, shared, and run out. */
const key = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('id', 'name', 'tags', 'at', 'a', 'b', 'c', 'é', '1', '', 'constructor') },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 70 }).filter((text) => text !== '__proto__') },
);
/** Values that arrive as they are. */
const exact = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme', minLength: 40, maxLength: 300 })),
    fc.oneof(
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double().filter((n) => !Object.is(n, -0)),
    ),
    fc.constantFrom(null, true, false, undefined),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 6, noNullPrototype: true }),
  ),
})).value;

/** Values that no frame carries. */
const unsendable = fc.oneof(
  fc.tuple(key, fc.dictionary(key, exact, { noNullPrototype: true })).map(([name, rest]) => {
    const cycle: Record<string, unknown> = { ...rest };
    cycle[name] = [cycle];
    return cycle;
  }),
  fc.dictionary(key, exact, { noNullPrototype: true }).map((rest) => ({ ...rest, large: 'x'.repeat(5000) })),
  fc.dictionary(key, exact, { noNullPrototype: true }).map((rest) => ({ ...rest, big: 2n ** 70n })),
);

type Step =
  | { readonly kind: 'response' | 'item' | 'push' | 'request' | 'event' | 'failure'; readonly data: unknown }
  | { readonly kind: 'unsendable'; readonly data: unknown };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('response', 'item', 'push', 'request', 'event', 'failure'),
      data: exact,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unsendable' as const), data: unsendable }) },
);

const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 });
const handler: FailureKind = 'handler';

describe('a whole connection in MessagePack', () => {
  it('stays in step in both directions, whatever is sent, cannot be sent, or how it is cut', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), cuts, (steps, sizes) => {
        const wire = nativeWire({ codec, serverMaxFrameBytes: 4096, clientMaxFrameBytes: 4096 });
        const atServer: Heard[] = [];
        const atClient: Heard[] = [];
        for (const { kind, data } of steps) {
          try {
            switch (kind) {
              case 'response':
              case 'item':
                wire.server[kind](1, data);
                atClient.push([kind, 1, data]);
                break;
              case 'failure':
                wire.server.failure(1, handler, data);
                atClient.push(['failure', 1, handler, data]);
                break;
              case 'push':
                wire.server.push('p', data);
                atClient.push(['push', 'p', data]);
                break;
              case 'request':
                wire.client.request(1, message('r', data), 0);
                atServer.push(['request', 1, 'r', data, undefined, undefined]);
                break;
              case 'event':
                void wire.client.event(message('e', data));
                atServer.push(['event', 'e', data, undefined]);
                break;
              default:
                expect(() => {
                  wire.server.response(1, data);
                }).toThrow(PooledTcpError);
                expect(() => {
                  wire.client.request(1, message('r', data), 0);
                }).toThrow(PooledTcpError);
            }
          } catch (error) {
            // A value that happens to be larger than the frame limit: as good as any that cannot be sent.
            if (!(error instanceof PooledTcpError) || error.code !== 'PTCP_FRAME_TOO_LARGE') throw error;
          }
        }
        for (const chunk of chunksOf(wire.clientWriter.take(), sizes)) wire.server.receive(chunk);
        for (const chunk of chunksOf(wire.serverWriter.take(), sizes)) wire.client.receive(chunk);
        expect(wire.serverHeard).toEqual(atServer);
        expect(wire.clientHeard).toEqual(atClient);
      }),
      { numRuns: 300 },
    );
  });

  it('payloads that stand alone can be dropped, repeated and reordered among those that do not', () => {
    const sent = fc.record({ data: exact, isAlone: fc.boolean() });
    fc.assert(
      fc.property(fc.array(sent, { maxLength: 40 }), fc.array(fc.nat()), (payloads, order) => {
        const encoder = codec.encoder(1 << 20);
        const decoder = codec.decoder();
        const read = (kind: number, bytes: Buffer): unknown => decoder.decode(kind, bytes, 0, bytes.length);
        const later: (() => void)[] = [];
        for (const [i, { data, isAlone }] of payloads.entries()) {
          const payload = encoder.encode(data, isAlone ? 'message' : 'connection');
          if (payload === undefined || typeof payload === 'string') {
            expect(data).toBeUndefined();
            continue;
          }
          const bytes = Buffer.alloc(payload.length);
          if (Buffer.isBuffer(payload)) payload.copy(bytes);
          else payload.copyTo(bytes, 0);
          const { kind } = encoder;
          if (isAlone) later.push(() => expect(read(kind, bytes)).toEqual(data));
          else {
            encoder.written();
            expect(read(kind, bytes)).toEqual(data);
          }
          const due = order[i];
          if (due !== undefined && later.length > 0) later[due % later.length]?.();
        }
        for (const check of later.reverse()) check();
      }),
      { numRuns: 300 },
    );
  });

  it('a frame with any bytes in it is read, fails its call, or ends the connection, and nothing else', () => {
    const outcomes = new Set<string>();
    fc.assert(
      fc.property(
        fc.constantFrom(3, 4),
        fc.uint8Array({ maxLength: 60 }),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }),
        exact,
        (kind, noise, changes, data) => {
          const encoder = codec.encoder(1 << 20);
          encoder.encode(data, 'connection');
          const payload = encoder.encode(data, kind === 3 ? 'message' : 'connection');
          const bytes =
            changes.length === 0 || payload === undefined || typeof payload === 'string'
              ? Buffer.from(noise)
              : Buffer.alloc(payload.length);
          if (Buffer.isBuffer(payload)) payload.copy(bytes);
          else if (typeof payload === 'object' && changes.length > 0) payload.copyTo(bytes, 0);
          for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
          try {
            codec.decoder().decode(kind, bytes, 0, bytes.length);
            outcomes.add('read');
          } catch (error) {
            if (!(error instanceof PooledTcpError)) throw error;
            expect(error.code).toBe(kind === 3 ? 'PTCP_PAYLOAD_MALFORMED' : 'PTCP_PROTOCOL_VIOLATION');
            outcomes.add(error.code);
          }
        },
      ),
      { numRuns: 5000 },
    );
    expect(outcomes).toEqual(new Set(['read', 'PTCP_PAYLOAD_MALFORMED', 'PTCP_PROTOCOL_VIOLATION']));
  });
});
