import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import type { PayloadScope } from '../../../lib/protocol/codec.js';
import { messagePackCodec } from '../../../lib/protocol/msgpack-codec.js';
import { MAX_DEPTH, MAX_STRUCTURES } from '../../../lib/protocol/msgpack/limits.js';
import { PAYLOAD } from '../../../lib/protocol/native/format.js';

const MAX_BYTES = 8 * 1024 * 1024;

interface Sent {
  readonly kind: number;
  readonly bytes: Buffer;
}

/** One direction of a connection. */
function direction(maxBytes = MAX_BYTES) {
  const encoder = messagePackCodec().encoder(maxBytes);
  const decoder = messagePackCodec().decoder();
  const encode = (data: unknown, scope: PayloadScope = 'connection'): Sent => {
    const payload = encoder.encode(data, scope);
    if (payload === undefined || typeof payload === 'string') throw new Error('no bytes');
    const bytes = Buffer.isBuffer(payload) ? payload : Buffer.alloc(payload.length);
    if (!Buffer.isBuffer(payload)) expect(payload.copyTo(bytes, 0)).toBe(bytes.length);
    return { kind: encoder.kind, bytes };
  };
  const send = (data: unknown, scope?: PayloadScope): Sent => {
    const sent = encode(data, scope);
    encoder.written();
    return sent;
  };
  const receive = ({ kind, bytes }: Sent): unknown => decoder.decode(kind, bytes, 0, bytes.length);
  return { encoder, encode, send, receive, pass: (data: unknown, scope?: PayloadScope) => receive(send(data, scope)) };
}

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof PooledTcpError) return error.code;
    throw error;
  }
  return 'nothing thrown';
};

describe('what MessagePack carries', () => {
  class Point {
    constructor(
      readonly x: number,
      readonly y: number,
    ) {}
    get sum(): number {
      return this.x + this.y;
    }
  }
  class Money {
    constructor(readonly cents: number) {}
    toJSON(key: string): unknown {
      return { [key]: this.cents };
    }
  }
  const bare = Object.assign(Object.create(null) as object, { a: 1 });
  const sparse = [1, , 3];

  it.each<[string, unknown, unknown]>([
    ['numbers', [0, 63, 64, 127, 128, -1, -33, 2 ** 31, 2 ** 32, -(2 ** 31), 2 ** 53, 0.1], undefined],
    ['numbers that JSON has not', [NaN, Infinity, -Infinity], undefined],
    ['text', ['', 'é', '你好', '👋', 'x'.repeat(70), '€'.repeat(100), 'a\0b'], undefined],
    ['undefined inside a value', { a: undefined, b: [undefined] }, undefined],
    ['null and booleans', [null, true, false], undefined],
    ['dates', [new Date(0), new Date(1), new Date(1.7e12 + 123), new Date(-1), new Date(-1e14 - 7)], undefined],
    ['BigInts of 64 bits', [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n], undefined],
    ['Buffers inside a value', { a: Buffer.from('abc'), b: [Buffer.alloc(0)] }, undefined],
    ['a Uint8Array as a Buffer', { a: Uint8Array.of(1, 2) }, { a: Buffer.of(1, 2) }],
    ['a typed array as its bytes', [Float64Array.of(1.5)], [Buffer.from(Float64Array.of(1.5).buffer)]],
    ['an ArrayBuffer as its bytes', [Uint8Array.of(9).buffer], [Buffer.of(9)]],
    ['a DataView as its bytes', [new DataView(Uint8Array.of(1, 2, 3).buffer, 1)], [Buffer.of(2, 3)]],
    ['a Map as an object', { m: new Map<unknown, unknown>([['a', 1], [2, { b: 3 }]]) }, { m: { a: 1, 2: { b: 3 } } }], // prettier-ignore
    ['a Set as an array', { s: new Set([1, 'a']) }, { s: [1, 'a'] }],
    ['an instance as its own fields', [new Point(1, 2)], [{ x: 1, y: 2 }]],
    ['what toJSON answers', { price: new Money(5), list: [new Money(6)] }, { price: { price: 5 }, list: [{ 0: 6 }] }],
    ['an object without a prototype', [bare], [{ a: 1 }]],
    ['functions and symbols left out', { a: 1, f: () => 1, s: Symbol('s') }, { a: 1 }],
    ['functions in arrays as undefined', [() => 1, 2], [undefined, 2]],
    ['holes as undefined', sparse, [1, undefined, 3]],
    ['an Error as in JSON', { e: new Error('m') }, { e: {} }],
    ['a RegExp as in JSON', { r: /x/ }, { r: {} }],
    ['boxed values', [Object(1), Object('a'), Object(1n)], [1, 'a', 1n]],
    ['keys that only look special', { constructor: 1, toJSON: 'x', hasOwnProperty: 2, 'a b': 3, 1: 4, '': 5 }, undefined], // prettier-ignore
  ])('%s', (_what, value, arrives) => {
    for (const scope of ['message', 'connection', 'connection', 'connection'] as const) {
      const { pass } = direction();
      for (let i = 0; i < 4; i++) expect(pass(value, scope)).toStrictEqual(arrives ?? value);
    }
  });

  it('an object of more keys than 16 bits count', () => {
    const keys = Array.from({ length: 70_000 }, (_, i) => `k${i}`);
    const value = Object.fromEntries(keys.map((key) => [key, null]));
    for (const scope of ['message', 'connection'] as const)
      expect(Object.keys(direction().pass(value, scope) as object).join()).toBe(keys.join());
  });

  it('an invalid date arrives as one', () => {
    const [date] = direction().pass([new Date(NaN)]) as [Date];
    expect(date.getTime()).toBeNaN();
  });

  it('a key __proto__ sets no prototype: it arrives under another name', () => {
    const { pass } = direction();
    const value = JSON.parse('{"a":{"__proto__":{"polluted":true}}}') as object;
    for (const scope of ['message', 'connection', 'connection', 'connection'] as const) {
      const { a } = pass(value, scope) as { a: object };
      expect(Object.getPrototypeOf(a)).toBe(Object.prototype);
      expect(a).toEqual({ __proto_: { polluted: true } });
    }
  });

  it('nothing, a function, a symbol and a toJSON without an answer have no payload', () => {
    const { encoder } = direction();
    for (const nothing of [undefined, () => 1, Symbol('s'), { toJSON: () => undefined }])
      expect(encoder.encode(nothing, 'connection')).toBeUndefined();
  });

  it('a Buffer inside a value does not alias what was received', () => {
    const { send, receive } = direction();
    const sent = send({ small: Buffer.from('small'), large: Buffer.alloc(20_000, 'x') });
    const { small, large } = receive(sent) as { small: Buffer; large: Buffer };
    sent.bytes.fill(0);
    expect(small.toString()).toBe('small');
    expect(large).toEqual(Buffer.alloc(20_000, 'x'));
    expect(small.buffer.byteLength).toBe(5);
  });

  it.each<[string, () => unknown]>([
    ['an object that contains itself', () => { const o: Record<string, unknown> = { big: 'x'.repeat(1_000_000) }; o['o'] = o; return o; }], // prettier-ignore
    [
      'an array that contains itself',
      () => {
        const a: unknown[] = ['x'.repeat(1_000_000)];
        a.push(a, a);
        return a;
      },
    ],
    [
      'a Map that contains itself',
      () => {
        const m = new Map<string, unknown>();
        return m.set('m', m);
      },
    ],
    [
      'a Set that contains itself',
      () => {
        const s = new Set<unknown>();
        return s.add({ s });
      },
    ],
    [
      'a toJSON that answers ever more',
      () => {
        const o = { toJSON: () => ({ o }) };
        return o;
      },
    ],
    ['more levels than a receiver takes', () => { let v: unknown = 1; for (let i = 0; i <= MAX_DEPTH; i++) v = [v]; return v; }], // prettier-ignore
    ['a BigInt of more than 64 bits', () => [2n ** 64n]],
    ['a Map with objects as keys', () => new Map([[{}, 1]])],
    ['a toJSON that throws', () => ({ toJSON: () => JSON.parse('{') as unknown })],
    [
      'a getter that throws',
      () => ({
        get a(): never {
          throw new Error('secret');
        },
      }),
    ],
  ])('refuses %s, and goes on', (_what, make) => {
    const { encoder, pass } = direction();
    const value = make();
    for (const scope of ['message', 'connection', 'connection'] as const)
      expect(codeOf(() => encoder.encode(value, scope))).toBe('PTCP_PAYLOAD_UNSERIALIZABLE');
    for (let i = 0; i < 4; i++) expect(pass({ a: { b: i } })).toEqual({ a: { b: i } });
  });

  it('takes as many levels as it sends', () => {
    let value: unknown = 1;
    for (let i = 0; i < MAX_DEPTH; i++) value = i % 2 === 0 ? [value] : { a: value };
    const { pass } = direction();
    for (let i = 0; i < 3; i++) expect(pass(value)).toEqual(value);
  });

  it('refuses an array that can never fit before it walks it', () => {
    expect(codeOf(() => direction(1024).encoder.encode(new Array(2 ** 32 - 1), 'message'))).toBe(
      'PTCP_FRAME_TOO_LARGE',
    );
  });
});

describe('structures', () => {
  const order = (id: number) => ({ orderNumber: id, customer: { firstName: 'Ada' } });

  it('cross the connection once: the keys are gone from the third payload of a shape', () => {
    const { send, receive } = direction();
    const sent = [1, 2, 3, 4].map((id) => send(order(id)));
    expect(sent.map(({ bytes }) => bytes.includes('orderNumber'))).toEqual([true, true, false, false]);
    expect(sent.map(({ kind }) => kind)).toEqual(Array(4).fill(PAYLOAD.msgpackShared));
    expect(sent.map(receive)).toEqual([1, 2, 3, 4].map(order));
  });

  it('stay in step when payloads that define them are never sent', () => {
    const { encode, pass } = direction();
    for (let i = 0; i < 20; i++) {
      const shape = (n: number) => ({ [`a${i}`]: n, [`b${i}`]: order(n) });
      encode(shape(1));
      encode(shape(2));
      encode(shape(3));
      expect(pass(shape(4))).toEqual(shape(4));
    }
  });

  it('are not used by payloads that must stand alone', () => {
    const { pass, send } = direction();
    for (let i = 0; i < 3; i++) pass(order(i));
    const alone = send(order(4), 'message');
    expect(alone.kind).toBe(PAYLOAD.msgpack);
    expect(direction().receive(alone)).toEqual(order(4));
    expect(pass(order(5))).toEqual(order(5));
  });

  it('are not used by large payloads, whatever makes them large', () => {
    for (const large of [{ a: 'x'.repeat(64 * 1024) }, { a: '€'.repeat(30_000) }, { a: Buffer.alloc(70_000) }]) {
      const { send, receive } = direction();
      for (let i = 0; i < 3; i++) {
        const sent = send(large);
        expect(sent.kind).toBe(PAYLOAD.msgpack);
        expect(receive(sent)).toEqual(large);
      }
      for (let i = 0; i < 3; i++) expect(receive(send({ a: i }))).toEqual({ a: i });
    }
  });

  it('are given out to so many shapes and no more; the others go on without', () => {
    const { send, receive } = direction();
    const shape = (i: number) => ({ [`key${i}`]: i, other: i });
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < MAX_STRUCTURES * 2; i++) expect(receive(send(shape(i)))).toEqual(shape(i));
    }
    const spelled = Array.from({ length: MAX_STRUCTURES * 2 }, (_, i) => send(shape(i)).bytes.includes('key'));
    expect(spelled.filter((isSpelled) => !isSpelled)).toHaveLength(MAX_STRUCTURES - 1);
  });

  it('survive dictionaries whose keys never come twice', () => {
    const { send, receive } = direction();
    for (let i = 0; i < 3; i++) receive(send(order(i)));
    for (let i = 0; i < 3000; i++) {
      const dictionary = { [`user-${i}`]: i, [`session-${i}`]: order(i) };
      expect(receive(send(dictionary))).toEqual(dictionary);
    }
    expect(send(order(1)).bytes.includes('orderNumber')).toBe(false);
    expect(receive(send(order(1)))).toEqual(order(1));
  });

  it('are not made of keys that could not be told apart or are too long', () => {
    const { pass } = direction();
    for (const value of [
      { '\ud800': 1, '\ud801': 2 },
      { ['k'.repeat(200)]: 1 },
      {},
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, i])),
    ]) {
      for (let i = 0; i < 4; i++) expect(() => pass(value)).not.toThrow();
    }
  });

  it('can be sent for while another payload is being read', () => {
    const { pass } = direction();
    const nested: unknown[] = [];
    const value = {
      a: 1,
      get b(): number {
        nested.push(pass(order(nested.length)));
        return 2;
      },
    };
    for (let i = 0; i < 4; i++) expect(pass(value)).toEqual({ a: 1, b: 2 });
    expect(nested).toEqual(nested.map((_, i) => order(i)));
  });
});
