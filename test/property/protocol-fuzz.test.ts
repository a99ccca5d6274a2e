import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PooledTcpError } from '../../lib/errors/pooled-tcp-error.js';
import { parseHello, parseHelloAnswer } from '../../lib/protocol/hello.js';
import { messagePackCodec } from '../../lib/protocol/msgpack-codec.js';
import { FLAG, FRAGMENT_FLAG, PAYLOAD, TYPE } from '../../lib/protocol/native/format.js';
import { chunksOf, everySplit } from '../support/bytes.js';
import { runs } from '../support/runs.js';
import {
  message,
  nativeFrame,
  nativeWire,
  nestFrameOf,
  nestJsonWire,
  uint16,
  uint32,
} from '../unit/protocol/harness.js';

/** The receiving ends, each fresh. */
const codec = messagePackCodec();
const RECEIVERS = {
  'native server': () => nativeWire().server,
  'native client': () => nativeWire().client,
  'native server, MessagePack': () => nativeWire({ codec }).server,
  'native client, MessagePack': () => nativeWire({ codec }).client,
  'stock server': () => nestJsonWire({ server: { onHello: () => true } }).server,
  'stock client': () => nestJsonWire().client,
};
type Receiver = keyof typeof RECEIVERS;
const NATIVE = [
  'native server',
  'native client',
  'native server, MessagePack',
  'native client, MessagePack',
] as const satisfies Receiver[];
const receivers = fc.constantFrom<Receiver[]>(...NATIVE, 'stock server', 'stock client');

const cuts = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 6 });

/** Receives it all; the code of the error that stopped it. Any error that is not ours passes. */
function receive(who: Receiver, chunks: readonly Buffer[]): string | undefined {
  const receiver = RECEIVERS[who]();
  try {
    for (const chunk of chunks) receiver.receive(chunk);
    receiver.end();
    return undefined;
  } catch (error) {
    if (error instanceof PooledTcpError) return error.code;
    throw error;
  }
}

/** Traffic that the receiver would accept. */
function traffic(who: Receiver): Buffer {
  const wire = !who.startsWith('native')
    ? nestJsonWire()
    : who.endsWith('MessagePack')
      ? nativeWire({ codec })
      : nativeWire();
  wire.client.request(1, message('sum', [1, 2], { trace: 'é' }), 500);
  void wire.client.event(message('sum', { a: '€😀' }));
  // The third of a shape builds on structures that the second defined.
  for (let id = 5; id < 8; id++) {
    wire.client.request(id, message('sum', { a: { b: id }, c: [{ b: 1 }, null] }), 0);
    wire.server.response(id, { a: { b: id }, c: [{ b: 1 }, null] });
  }
  wire.client.cancel(1);
  wire.client.ping(2);
  wire.server.item(1, 'x');
  if (who.startsWith('native')) nativeTraffic(wire);
  wire.server.response(1, { b: null });
  wire.server.failure(3, 'handler', { message: 'm' });
  wire.server.completed(4);
  wire.server.goaway({ code: 'PTCP_FRAME_TOO_LARGE', message: 'm' });
  return (who.includes('server') ? wire.clientWriter : wire.serverWriter).take();
}

/** What only the native protocol has: streams towards the server, credit, fragments. */
function nativeTraffic({ client, server, clientWriter, serverWriter }: ReturnType<typeof nativeWire>): void {
  client.request(5, { ...message('upload'), isStreaming: true }, 0);
  client.item(5, { n: 1 });
  client.item(5, Buffer.from('raw'));
  client.completed(5);
  client.failure(6, 'source');
  client.pong(3);
  client.credit(5, 100);
  server.credit(5, 100);
  server.push('quote', 1);
  server.ping(4);
  server.pong(2);
  for (const { output } of [clientWriter, serverWriter])
    output.append(inFragments(nativeFrame(TYPE.pong, 0, uint32(8))));
}

/** A frame in pieces of three bytes, with pings between, after one that is called off. */
function inFragments(frame: Buffer): Buffer {
  const ping = nativeFrame(TYPE.ping, 0, uint32(7));
  const pieces = chunksOf(frame.subarray(4), [3]);
  return Buffer.concat([
    nativeFrame(TYPE.fragment, PAYLOAD.raw | FRAGMENT_FLAG.first, uint32(50), 'abc'),
    nativeFrame(TYPE.fragment, FRAGMENT_FLAG.dropped),
    ...pieces.flatMap((piece, i) => [
      nativeFrame(
        TYPE.fragment,
        PAYLOAD.raw | (i === 0 ? FRAGMENT_FLAG.first : 0),
        ...(i === 0 ? [uint32(frame.length - 4)] : []),
        piece,
      ),
      ping,
    ]),
  ]);
}

const mutation = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('set', 'flip', 'insert', 'remove', 'cut', 'repeat'),
  byte: fc.nat({ max: 255 }),
});

function mutate(bytes: Buffer, { at: anywhere, how, byte }: { at: number; how: string; byte: number }): Buffer {
  const at = bytes.length === 0 ? 0 : anywhere % bytes.length;
  const [before, here, after] = [bytes.subarray(0, at), bytes.subarray(at, at + 1), bytes.subarray(at + 1)];
  switch (how) {
    case 'set':
      return Buffer.concat([before, Buffer.from([byte]), after]);
    case 'flip':
      return Buffer.concat([before, Buffer.from([(here[0] ?? 0) ^ (1 << (byte & 7))]), after]);
    case 'insert':
      return Buffer.concat([before, Buffer.from([byte]), here, after]);
    case 'remove':
      return Buffer.concat([before, after]);
    case 'cut':
      return before;
    default:
      return Buffer.concat([before, bytes.subarray(at), bytes.subarray(at)]);
  }
}

/** Values with the keys that protocols look at, and with methods' names where a value is expected. */
const hostile = fc.letrec<{ value: unknown; record: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<unknown[]>(null, true, 0, -1, 1e300, '', '1', 'constructor', '__proto__', 'PTCP_ABORTED'),
    fc.jsonValue(),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('record'),
  ),
  record: fc.dictionary(
    fc.constantFrom(
      ...['id', 'err', 'response', 'isDisposed', 'status', 'pattern', 'data', 'metadata', 'code', 'message'],
      ...['versions', 'maxFrameBytes', 'toString', 'valueOf', 'then', 'toJSON', 'version', 'constructor'],
    ),
    tie('value'),
    { maxKeys: 6 },
  ),
})).record;

describe('whatever a peer sends', () => {
  it('is refused with an error of ours when it is noise', () => {
    const noise = fc.uint8Array({ maxLength: 500 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(receivers, noise, cuts, (who, bytes, sizes) => {
        receive(who, chunksOf(bytes, sizes));
      }),
      { numRuns: runs(1000) },
    );
  });

  it('is taken or refused with an error of ours when it is valid traffic with a few bytes changed', () => {
    const accepted = new Set<string>();
    fc.assert(
      fc.property(receivers, fc.array(mutation, { minLength: 1, maxLength: 4 }), cuts, (who, mutations, sizes) => {
        const bytes = mutations.reduce(mutate, traffic(who));
        const code = receive(who, chunksOf(bytes, sizes));
        accepted.add(code ?? 'accepted');
      }),
      { numRuns: runs(3000) },
    );
    // The mutations reach far enough to matter.
    expect(accepted.size).toBeGreaterThanOrEqual(4);
  });

  it('is taken whole when nothing is changed', () => {
    for (const who of Object.keys(RECEIVERS) as Receiver[]) expect(receive(who, [traffic(who)])).toBeUndefined();
  });

  it.each(['native server', 'native client'] as const)('is the same for a %s wherever it is cut', (who) => {
    const end = who === 'native server' ? 'server' : 'client';
    const hearing = (chunks: readonly Buffer[]) => {
      const wire = nativeWire();
      for (const chunk of chunks) wire[end].receive(chunk);
      return end === 'server' ? wire.serverHeard : wire.clientHeard;
    };
    const bytes = traffic(who);
    const whole = hearing([bytes]);
    expect(new Set(whole.map(([method]) => method)).size).toBeGreaterThanOrEqual(8);
    for (const chunks of everySplit(bytes)) expect(hearing(chunks)).toEqual(whole);
  });

  it('is taken or refused with an error of ours when its frames come in another order', () => {
    const framesOf = (bytes: Buffer): Buffer[] => {
      const frames: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at))
        frames.push(bytes.subarray(at, at + 4 + bytes.readUInt32BE(at)));
      return frames;
    };
    const native = fc.constantFrom<Receiver[]>('native server', 'native client');
    const shuffled = native.chain((who) => {
      const frames = framesOf(traffic(who));
      return fc.tuple(fc.constant(who), fc.shuffledSubarray([...frames, ...frames]));
    });
    fc.assert(
      fc.property(shuffled, ([who, frames]) => {
        receive(who, [Buffer.concat(frames)]);
      }),
      { numRuns: runs(1000) },
    );
  });

  it('is taken or refused with an error of ours when it is a well-formed native frame with any content', () => {
    const field = fc.oneof(
      fc.nat({ max: 3 }).map(uint16),
      fc.nat({ max: 20 }).map(uint32),
      fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array)),
      hostile.map((value) => Buffer.from(JSON.stringify(value))),
      hostile.map((value) => {
        const text = Buffer.from(JSON.stringify(value));
        return Buffer.concat([uint32(text.length), text]);
      }),
    );
    const flags = fc.tuple(
      fc.subarray([...Object.values(FLAG), ...Object.values(FRAGMENT_FLAG)]),
      fc.constantFrom<number[]>(...Object.values(PAYLOAD), 5, 15),
    );
    const frame = fc
      .tuple(fc.constantFrom<number[]>(0, 14, ...Object.values(TYPE)), flags, fc.array(field, { maxLength: 5 }))
      .map(([type, [optional, payload], fields]) =>
        nativeFrame(
          type,
          optional.reduce((all, flag) => all | flag, payload),
          ...fields,
        ),
      );
    fc.assert(
      fc.property(fc.constantFrom<Receiver[]>(...NATIVE), fc.array(frame, { maxLength: 6 }), (who, frames) => {
        receive(who, [Buffer.concat(frames)]);
      }),
      { numRuns: runs(3000) },
    );
  });

  it('is taken or refused with an error of ours when it is a well-formed stock frame with any content', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Receiver[]>('stock server', 'stock client'),
        fc.array(hostile, { maxLength: 4 }),
        (who, packets) => {
          expect(receive(who, packets.map(nestFrameOf))).toBeUndefined();
        },
      ),
      { numRuns: runs(2000) },
    );
  });

  it('is a hello, an answer to one, or neither, but never breaks the parsing', () => {
    const [helloId, pattern] = ['pooled-tcp:hello', 'pooled-tcp:hello'];
    const never = (parse: () => unknown): void => {
      try {
        parse();
      } catch (error) {
        if (!(error instanceof PooledTcpError)) throw error;
      }
    };
    fc.assert(
      fc.property(hostile, (packet) => {
        never(() => parseHello({ ...packet, pattern, id: helloId }));
        never(() => parseHelloAnswer({ ...packet, id: helloId }));
        never(() => parseHello(packet));
        never(() => parseHelloAnswer(packet));
      }),
      { numRuns: runs(2000) },
    );
  });
});
