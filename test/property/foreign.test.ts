import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { delimiter, lengthField, PooledTcpError, type Framing, type MessageCodec } from '../../lib/index.js';
import { chunksOf, encodeAll } from '../support/bytes.js';
import { bankCodec, bankFraming, bcdFraming } from '../support/foreign/bank.js';
import { gatewayCodec, gatewayFraming } from '../support/foreign/gateway.js';
import { ForeignWire } from '../support/foreign/wire.js';
import type { Heard } from '../unit/protocol/harness.js';

/** How a stream is cut: chunk sizes, over and over; `[1]` is byte by byte. */
const cuts = fc.oneof(
  { weight: 1, arbitrary: fc.constant([1]) },
  { weight: 4, arbitrary: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }) },
);

/** Writes what it is given: a codec that reads back at one end what was written at the other. */
const json: MessageCodec = {
  encode: (message) => Buffer.from(JSON.stringify(message)),
  decode: (frame) => JSON.parse(String(frame)) as object,
};
const serialJson: MessageCodec = {
  encode: ({ kind, pattern, data, error }) => Buffer.from(JSON.stringify({ kind, pattern, data, error })),
  decode: (frame) => JSON.parse(String(frame)) as object,
};
const wires: readonly [Framing, MessageCodec, string][] = [
  [lengthField({ size: 2, byteOrder: 'little' }), json, 'any'],
  [delimiter('\0'), serialJson, 'any'],
  [bankFraming, bankCodec, '0200'],
  [bcdFraming, bankCodec, '0200'],
  [gatewayFraming, gatewayCodec(), 'ECHO'],
];

function deliver(end: { receive(chunk: Buffer): void }, stream: Buffer, sizes: readonly number[]): void {
  for (const chunk of chunksOf(stream, sizes)) end.receive(chunk);
}

describe('a foreign protocol, however the stream is cut', () => {
  it('gives every request to the server and every answer to its call', () => {
    const texts = fc.array(fc.string({ maxLength: 30 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.constantFrom(...wires), texts, cuts, ([framing, codec, pattern], sent, sizes) => {
        const wire = new ForeignWire(framing, codec);
        const heard: Heard[] = [];
        sent.forEach((data, i) => {
          wire.request(i + 1, pattern, data);
        });
        // A serial client sends the next once the last has been answered.
        for (const _ of sent) {
          deliver(wire.server, wire.clientWriter.take(), sizes);
          for (let request = wire.serverHeard.shift(); request !== undefined; request = wire.serverHeard.shift()) {
            expect(request[2]).toBe(pattern);
            wire.server.response(request[1] as number, request[3]);
          }
          deliver(wire.client, wire.serverWriter.take(), sizes);
          heard.push(...wire.clientHeard.splice(0));
        }
        expect(heard).toEqual(sent.map((data, i) => ['response', i + 1, data]));
        expect(wire.clientWriter.held).toBe(0);
      }),
    );
  });

  it('takes any bytes, or refuses them with an error of ours, and says so alike', () => {
    const noise = fc.uint8Array({ maxLength: 120 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(fc.constantFrom(...wires), noise, fc.boolean(), cuts, ([framing, codec], stream, isFramed, sizes) => {
        const bytes = isFramed && stream.length >= 12 ? encodeAll(framing, [safe(framing, stream)]) : stream;
        for (const end of ['client', 'server'] as const)
          expect(outcome(framing, codec, end, chunksOf(bytes, sizes))).toEqual(
            outcome(framing, codec, end, chunksOf(bytes, [1])),
          );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('replies of a protocol with ids', () => {
  /** What happens next: a request, or to one of those sent so far a reply, a second reply, or a cancel. */
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('request' as const), of: fc.nat() }),
      fc.record({ kind: fc.constantFrom('reply' as const, 'cancel' as const), of: fc.nat() }),
      fc.record({ kind: fc.constant('stray' as const), of: fc.nat({ max: 20 }) }),
    ),
    { maxLength: 60, size: 'max' },
  );

  it('never answer another call, whatever comes late, twice or unasked, and however soon ids come again', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 2, max: 12 }), (happenings, maxId) => {
        const wireIds: number[] = [];
        const codec = gatewayCodec({ maxId, correlation: 'id' });
        const wire = new ForeignWire(gatewayFraming, {
          ...codec,
          encode: (message) => {
            wireIds.push(Number(message.id));
            return codec.encode(message);
          },
        });
        /** By the id on the wire, the calls that the peer still owes a reply. */
        const owed: { wireId: number; call: number }[] = [];
        const waiting = new Set<number>();
        let calls = 0;
        for (const { kind, of } of happenings) {
          const { wireId, call } = owed[of % Math.max(1, owed.length)] ?? {};
          if (kind === 'request') {
            calls += 1;
            try {
              wire.request(calls, 'ECHO', calls);
            } catch (error) {
              expect(error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: false });
              continue;
            }
            waiting.add(calls);
            owed.push({ wireId: wireIds.at(-1) ?? 0, call: calls });
          } else if (kind === 'stray') {
            // An id that nobody is waiting for: owed ones are answered by 'reply' alone.
            if (!owed.some((one) => one.wireId === of)) wire.client.receive(answer(of, 'stray'));
          } else if (call === undefined || wireId === undefined) continue;
          else if (kind === 'cancel') {
            wire.client.cancel(call);
            waiting.delete(call);
          } else {
            owed.splice(of % owed.length, 1);
            wire.client.receive(answer(wireId, call));
            const replies = wire.clientHeard.splice(0).filter(([method]) => method === 'response');
            expect(replies).toEqual(waiting.has(call) ? [['response', call, call]] : []);
            waiting.delete(call);
          }
        }
        expect(wire.clientHeard.some(([method]) => method === 'response')).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  function answer(wireId: number, data: unknown): Buffer {
    const codec = gatewayCodec();
    return encodeAll(gatewayFraming, [codec.encode({ kind: 'reply', id: wireId, pattern: 'ECHO', data })]);
  }
});

/** Bytes that the framing takes as a payload. */
function safe(framing: Framing, payload: Buffer): Buffer {
  try {
    framing.encode(payload);
    return payload;
  } catch {
    return Buffer.from('no zero here');
  }
}

/** What the sink heard, and the code of the error that ended it. */
function outcome(framing: Framing, codec: MessageCodec, end: 'client' | 'server', chunks: readonly Buffer[]) {
  const wire = new ForeignWire(framing, codec);
  const result = (error: string | undefined) => ({ heard: wire[`${end}Heard`], error });
  try {
    for (const chunk of chunks) wire[end].receive(chunk);
    wire[end].end();
  } catch (error) {
    if (!(error instanceof PooledTcpError)) throw error;
    return result(error.code);
  }
  return result(undefined);
}
