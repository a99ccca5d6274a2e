import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { messagePackCodec } from '../../../lib/protocol/msgpack-codec.js';
import { MAX_DEPTH, MAX_STRUCTURES } from '../../../lib/protocol/msgpack/limits.js';
import { PAYLOAD, TYPE } from '../../../lib/protocol/native/format.js';
import { nativeFrame, nativeWire, uint32 } from './harness.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const text = (value: string): Buffer => Buffer.concat([Buffer.of(0xda, 0, 0), Buffer.from(value)]);
/** MessagePack text of any length below 64 KiB. */
function str(value: string): Buffer {
  const bytes = text(value);
  bytes.writeUInt16BE(bytes.length - 3, 1);
  return bytes;
}
const definition = (...keys: string[]): Buffer =>
  Buffer.concat([Buffer.of(0xdc, keys.length >> 8, keys.length & 0xff), ...keys.map(str)]);

function outcome(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    if (error instanceof PooledTcpError) return error.code;
    throw error;
  }
}

/** What becomes of one payload at a new connection's end. */
const alone = (bytes: Buffer): unknown =>
  outcome(() => messagePackCodec().decoder().decode(PAYLOAD.msgpack, bytes, 0, bytes.length));
const shared = (bytes: Buffer): unknown =>
  outcome(() => messagePackCodec().decoder().decode(PAYLOAD.msgpackShared, bytes, 0, bytes.length));

describe('MessagePack from a hostile peer', () => {
  it.each<[string, string]>([
    ['nothing', ''],
    ['a value cut short', '93 01 02'],
    ['bytes after the value', '01 02'],
    ['an array of 4 billion elements', 'dd ff ff ff ff 01'],
    ['arrays in arrays that each claim the rest', 'dd 00 00 00 05 dd 00 00 00 05 01'],
    ['a map of 4 billion entries', 'df ff ff ff ff a1 61 01'],
    ['text of 4 GiB', 'db ff ff ff ff 61'],
    ['binary of 4 GiB', 'c6 ff ff ff ff 61'],
    ['a float cut short', 'cb 00 00'],
    ['a length cut short', 'dd 00'],
    ['the byte that MessagePack never uses', 'c1'],
    ['a structure’s definition by the package’s own extension', 'd4 72 40 91 a1 61 01'],
    ['the same with a number of two bytes', 'd5 72 60 01 91 a1 61 01'],
    ['an Error', 'd4 65 00 93 a7 76 61 6c 75 65 4f 66 a1 6d c0'],
    ['a regular expression', 'd4 78 00 92 a1 61 a1 67'],
    ['a Set', 'd4 73 00 91 01'],
    ['a typed array', 'c7 03 74 01 01 02'],
    ['a large BigInt', 'c7 09 42 01 01 01 01 01 01 01 01 01'],
    ['bundled strings, which move the reading position', 'd6 62 ff ff ff f0 c1 01'],
    ['a reference', 'd6 70 00 00 00 01'],
    ['a name for a reference', 'd6 69 00 00 00 01 91 d6 70 00 00 00 01'],
    ['an extension nobody knows', 'd4 05 00'],
    ['a date of a wrong size', 'c7 03 ff 00 00 00'],
    ['an extension of 4 GiB', 'c9 ff ff ff ff ff 00'],
    ['a map with an array as key', '81 90 01'],
    ['a map with a float as key', '81 cb 3f f8 00 00 00 00 00 00 01'],
    ['a map with a date as key', '81 d6 ff 00 00 00 00 01'],
  ])('%s is malformed, and fails its own call only', (_what, bytes) => {
    expect(alone(hex(bytes))).toBe('PTCP_PAYLOAD_MALFORMED');
  });

  it('nesting is taken to the limit and no further', () => {
    const nested = (depth: number, one: string): Buffer => hex(one.repeat(depth) + 'c0');
    for (const one of ['91', '81a161', 'dc0001', 'dd00000001', 'de0001a161', 'df00000001a161']) {
      expect(alone(nested(MAX_DEPTH, one))).not.toBe('PTCP_PAYLOAD_MALFORMED');
      expect(alone(nested(MAX_DEPTH + 1, one))).toBe('PTCP_PAYLOAD_MALFORMED');
      expect(alone(nested(1_000_000, one))).toBe('PTCP_PAYLOAD_MALFORMED');
    }
    const define = Buffer.concat([Buffer.of(1), definition('a')]);
    expect(shared(Buffer.concat([define, nested(MAX_DEPTH, '40')]))).toHaveProperty('a.a.a');
    expect(shared(Buffer.concat([define, nested(MAX_DEPTH + 1, '40')]))).toBe('PTCP_PROTOCOL_VIOLATION');
  });

  it('keys never touch a prototype, nor run as code', () => {
    const keys = [
      'constructor',
      'prototype',
      'toString',
      '});globalThis.ran=1;({',
      '"];globalThis.ran=1//',
      '\u2028',
      '',
    ];
    const values = keys.map((_, i) => i);
    const payload = Buffer.concat([Buffer.of(0), Buffer.of(0x40), Buffer.from(values)]);
    const first = Buffer.concat([Buffer.of(1), definition(...keys), payload.subarray(1)]);
    const decoder = messagePackCodec().decoder();
    const expected = Object.fromEntries(keys.map((key, i) => [key, i]));
    // The package compiles a reader once a structure has come a few times.
    for (const bytes of [first, ...Array.from({ length: 10 }, () => payload)])
      expect(decoder.decode(PAYLOAD.msgpackShared, bytes, 0, bytes.length)).toEqual(expected);
    expect(globalThis).not.toHaveProperty('ran');
    const map = alone(Buffer.concat([Buffer.of(0x81), str('__proto__'), Buffer.of(0x81), str('a'), Buffer.of(1)]));
    expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
    expect(map).not.toHaveProperty('a');
  });

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['no value', Buffer.of(0)],
    ['a definition cut short', hex('01 92 a1 61')],
    ['a definition that is no array', hex('01 01 01')],
    ['a definition with a key that is no text', hex('01 91 01 40 01')],
    ['a definition without keys', hex('01 90 40')],
    ['a definition with a key twice', Buffer.concat([Buffer.of(1), definition('a', 'a'), hex('40 01 01')])],
    ['a definition with __proto__', Buffer.concat([Buffer.of(1), definition('__proto__'), hex('40 01')])],
    ['a definition with too many keys', Buffer.concat([Buffer.of(1), definition(...Array.from({ length: 65 }, String)), hex('01')])], // prettier-ignore
    ['a definition with a key too long', Buffer.concat([Buffer.of(1), definition('k'.repeat(193)), hex('01')])],
    ['more definitions than are allowed', Buffer.concat([Buffer.of(33), ...Array.from({ length: 33 }, () => definition('a')), hex('01')])], // prettier-ignore
    ['a structure that was never defined', hex('00 40 01')],
    ['a structure beyond the last number', Buffer.concat([Buffer.of(1), definition('a'), hex('60 00 01')])],
    ['a structure whose values end early', Buffer.concat([Buffer.of(1), definition('a', 'b'), hex('40 01')])],
    ['a structure as a key', Buffer.concat([Buffer.of(1), definition('a'), hex('81 40 01 01')])],
    ['the package’s own definition', hex('00 d4 72 40 91 a1 61 01')],
    ['bytes after the value', hex('00 01 01')],
  ])('%s breaks the protocol in a payload that later ones build on', (_what, bytes) => {
    expect(shared(bytes)).toBe('PTCP_PROTOCOL_VIOLATION');
  });

  it('definitions are bounded over the whole connection', () => {
    const decoder = messagePackCodec().decoder();
    const define = Buffer.concat([Buffer.of(1), definition('a', 'b'), hex('40 01 02')]);
    for (let i = 0; i < MAX_STRUCTURES; i++)
      expect(decoder.decode(PAYLOAD.msgpackShared, define, 0, define.length)).toEqual({ a: 1, b: 2 });
    expect(outcome(() => decoder.decode(PAYLOAD.msgpackShared, define, 0, define.length))).toBe(
      'PTCP_PROTOCOL_VIOLATION',
    );
  });

  it('a value ends where its frame does, whatever lies behind it', () => {
    const bytes = hex('a5 61 62 63 64 65 66 67 68');
    const decode = (end: number): unknown =>
      outcome(() => messagePackCodec().decoder().decode(PAYLOAD.msgpack, bytes, 0, end));
    expect(decode(3)).toBe('PTCP_PAYLOAD_MALFORMED');
    expect(decode(6)).toBe('abcde');
  });
});

describe('MessagePack in frames', () => {
  const codec = messagePackCodec();
  const frame = (type: number, kind: number, payload: string): Buffer =>
    nativeFrame(type, kind, uint32(1), hex(payload));

  it('a payload that stands alone and is malformed fails its call at the client', () => {
    const { client, clientHeard } = nativeWire({ codec });
    client.receive(frame(TYPE.response, PAYLOAD.msgpack, 'c1'));
    expect(clientHeard).toEqual([['failure', 1, 'malformed', expect.stringContaining('MessagePack')]]);
  });

  it('one that others build on closes the connection', () => {
    const { client } = nativeWire({ codec });
    expect(outcome(() => client.receive(frame(TYPE.response, PAYLOAD.msgpackShared, '00 c1')))).toBe(
      'PTCP_PROTOCOL_VIOLATION',
    );
  });

  it.each([PAYLOAD.msgpack, PAYLOAD.msgpackShared])('kind %i was not agreed on where the codec is JSON', (kind) => {
    const { client } = nativeWire();
    expect(outcome(() => client.receive(frame(TYPE.response, kind, '01')))).toBe('PTCP_PROTOCOL_VIOLATION');
  });

  it('JSON is understood all the same', () => {
    const { client, clientHeard } = nativeWire({ codec });
    client.receive(nativeFrame(TYPE.response, PAYLOAD.json, uint32(1), Buffer.from('{"a":1}')));
    expect(clientHeard).toEqual([['response', 1, { a: 1 }]]);
  });

  it('answers to calls that are over still teach the structures that later ones use', () => {
    const wire = nativeWire({ codec });
    for (let id = 1; id < 6; id++) wire.server.response(id, { name: id });
    expect(wire.toClient()).toEqual(Array.from({ length: 5 }, (_, i) => ['response', i + 1, { name: i + 1 }]));
  });

  it('an answer too large to send teaches nothing and breaks nothing', () => {
    const wire = nativeWire({ codec, clientMaxFrameBytes: 1024 });
    const shape = (i: number, value: unknown) => ({ [`k${i}`]: value });
    for (let i = 0; i < 3; i++) {
      wire.server.response(2, shape(i, i));
      // The second of its shape: it would have told the structure that the next one uses.
      expect(outcome(() => wire.server.response(1, shape(i, 'x'.repeat(2000))))).toBe('PTCP_FRAME_TOO_LARGE');
      wire.server.response(3, shape(i, i));
    }
    expect(wire.toClient()).toEqual(
      [0, 1, 2].flatMap((i) => [
        ['response', 2, shape(i, i)],
        ['response', 3, shape(i, i)],
      ]),
    );
  });
});
