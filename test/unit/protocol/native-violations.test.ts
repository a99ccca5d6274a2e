import { describe, expect, it } from '@jest/globals';
import { FLAG, MAX_NUMBERED_PATTERN_BYTES, MAX_PATTERNS, PAYLOAD, TYPE } from '../../../lib/protocol/native/format.js';
import { hex, thrownBy } from '../../support/bytes.js';
import { message, nativeFrame, nativeWire, uint16, uint32 } from './harness.js';

/** A request that spells its pattern `p` out; the payload is up to the test. */
function request(id: number, flags: number, ...rest: (Buffer | string)[]): Buffer {
  return nativeFrame(TYPE.request, flags | FLAG.define, uint32(id), uint16(0), uint16(1), 'p', ...rest);
}

describe('a malformed payload on the native wire', () => {
  it('fails the one call, and the client is told', () => {
    const wire = nativeWire();
    wire.server.receive(request(5, PAYLOAD.json, '{"a":'));
    wire.server.receive(request(6, PAYLOAD.json, '{}'));

    expect(wire.serverHeard.map(([method, id]) => [method, id])).toEqual([['request', 6]]);
    const [told] = wire.toClient();
    expect(told?.slice(0, 3)).toEqual(['failure', 5, 'malformed']);
    expect(told?.[3]).toBe('5 bytes that should be JSON do not parse');
  });

  it('is reported where it belongs to no call', () => {
    const wire = nativeWire();
    wire.server.receive(nativeFrame(TYPE.event, PAYLOAD.json | FLAG.define, uint16(0), uint16(1), 'p', 'nope'));
    wire.client.receive(nativeFrame(TYPE.push, PAYLOAD.json, uint16(1), 'q', ''));

    expect(wire.serverHeard).toEqual([['malformed', 'PTCP_PAYLOAD_MALFORMED']]);
    expect(wire.clientHeard).toEqual([['malformed', 'PTCP_PAYLOAD_MALFORMED']]);
  });

  it('fails the one call whose reply it is', () => {
    const wire = nativeWire();
    wire.client.receive(nativeFrame(TYPE.response, PAYLOAD.json, uint32(1), '{'));
    wire.client.receive(nativeFrame(TYPE.item, PAYLOAD.json, uint32(2), ''));
    wire.client.receive(nativeFrame(TYPE.failure, PAYLOAD.json, uint32(3), Buffer.from([0]), 'x'));
    wire.client.receive(nativeFrame(TYPE.response, PAYLOAD.json, uint32(4), '4'));

    expect(wire.clientHeard.map((heard) => heard.slice(0, 3))).toEqual([
      ['failure', 1, 'malformed'],
      ['failure', 2, 'malformed'],
      ['failure', 3, 'malformed'],
      ['response', 4, 4],
    ]);
  });

  it('is never quoted in what is said about it', () => {
    const wire = nativeWire();
    wire.client.receive(nativeFrame(TYPE.response, PAYLOAD.json, uint32(1), '{"password":"secret"'));

    expect(JSON.stringify(wire.clientHeard)).not.toContain('secret');
  });
});

describe('a breach of the native protocol', () => {
  it.each<[string, Buffer]>([
    ['an unknown type', nativeFrame(99, 0)],
    ['a type that only servers send', nativeFrame(TYPE.response, PAYLOAD.json, uint32(1), '1')],
    ['another one', nativeFrame(TYPE.push, 0, uint16(1), 'q')],
    ['a pattern number that was never defined', nativeFrame(TYPE.request, 0, uint32(1), uint16(7))],
    ['the pattern number of none, not spelled out', nativeFrame(TYPE.event, 0, uint16(0))],
    ['a pattern number out of order', nativeFrame(TYPE.event, FLAG.define, uint16(2), uint16(1), 'p')],
    ['a payload of unknown kind', request(1, 3)],
    ['metadata that is an array', request(1, FLAG.metadata, uint32(2), '[]')],
    ['metadata with a number', request(1, FLAG.metadata, uint32(7), '{"a":1}')],
    ['a frame without a type', hex('00000000')],
    ['a frame without flags', hex('00000001 01')],
    ['a request cut in its id', nativeFrame(TYPE.request, 0, hex('0000'))],
    ['a request cut before its pattern', nativeFrame(TYPE.request, 0, uint32(1))],
    ['a pattern cut short', nativeFrame(TYPE.request, FLAG.define, uint32(1), uint16(0), uint16(5), 'p')],
    ['a deadline cut short', request(1, FLAG.deadline, hex('00'))],
    ['metadata cut short', request(1, FLAG.metadata, uint32(9), '{}')],
    ['a cancel without id', nativeFrame(TYPE.cancel, 0)],
    ['a ping without token', nativeFrame(TYPE.ping, 0, hex('0000'))],
    ['a goaway without content', nativeFrame(TYPE.goaway, PAYLOAD.json, 'null')],
  ])('is refused by the server: %s', (_title, bytes) => {
    const wire = nativeWire();
    const { code, message: text } = thrownBy(() => {
      wire.server.receive(bytes);
    });

    expect(code).toBe('PTCP_PROTOCOL_VIOLATION');
    expect(text).toMatch(/^the peer broke the protocol: /);
    expect(wire.serverHeard).toEqual([]);
  });

  it.each<[string, Buffer]>([
    ['an unknown type', nativeFrame(0, 0)],
    ['a type that only clients send', nativeFrame(TYPE.request, FLAG.define, uint32(1), uint16(0), uint16(1), 'p')],
    ['another one', nativeFrame(TYPE.cancel, 0, uint32(1))],
    ['a failure of unknown kind', nativeFrame(TYPE.failure, 0, uint32(1), Buffer.from([200]))],
    ['a failure cut before its kind', nativeFrame(TYPE.failure, 0, uint32(1))],
    ['a response without id', nativeFrame(TYPE.response, 0, hex('000000'))],
    ['a payload of unknown kind', nativeFrame(TYPE.response, 0x0f, uint32(1))],
    ['a push cut in its pattern', nativeFrame(TYPE.push, 0, uint16(4), 'q')],
    ['a goaway without content', nativeFrame(TYPE.goaway, 0)],
  ])('is refused by the client: %s', (_title, bytes) => {
    const wire = nativeWire();

    expect(
      thrownBy(() => {
        wire.client.receive(bytes);
      }).code,
    ).toBe('PTCP_PROTOCOL_VIOLATION');
    expect(wire.clientHeard).toEqual([]);
  });

  it('is a number given twice, too', () => {
    const wire = nativeWire();
    const define = nativeFrame(TYPE.event, FLAG.define, uint16(1), uint16(1), 'p');
    wire.server.receive(define);

    expect(
      thrownBy(() => {
        wire.server.receive(define);
      }).message,
    ).toBe('the peer broke the protocol: pattern number 1 defined out of order');
  });

  it('is one pattern more than the server remembers, so that its memory is bounded', () => {
    const wire = nativeWire();
    const define = (number: number): Buffer => nativeFrame(TYPE.event, FLAG.define, uint16(number), uint16(1), 'p');
    for (let number = 1; number <= MAX_PATTERNS; number++) wire.server.receive(define(number));

    expect(
      thrownBy(() => {
        wire.server.receive(define(MAX_PATTERNS + 1));
      }).code,
    ).toBe('PTCP_PROTOCOL_VIOLATION');
    expect(wire.serverHeard).toHaveLength(MAX_PATTERNS);
  });

  it('is a pattern that is to be remembered and is longer than 256 bytes', () => {
    const wire = nativeWire();
    const define = (number: number, bytes: number): Buffer =>
      nativeFrame(TYPE.event, FLAG.define, uint16(number), uint16(bytes), 'p'.repeat(bytes));
    wire.server.receive(define(1, MAX_NUMBERED_PATTERN_BYTES));
    wire.server.receive(define(0, MAX_NUMBERED_PATTERN_BYTES + 1));

    expect(
      thrownBy(() => {
        wire.server.receive(define(2, MAX_NUMBERED_PATTERN_BYTES + 1));
      }).message,
    ).toBe('the peer broke the protocol: pattern number 2 of more than 256 bytes');
    expect(wire.serverHeard).toHaveLength(2);
  });

  it('is refused before its body is buffered when the frame is too large', () => {
    const wire = nativeWire({ serverMaxFrameBytes: 1000 });

    expect(
      thrownBy(() => {
        wire.server.receive(uint32(997));
      }).code,
    ).toBe('PTCP_FRAME_TOO_LARGE');
  });

  it('is a stream that ends inside a message', () => {
    const wire = nativeWire();
    wire.client.ping(1);
    wire.server.receive(wire.clientWriter.take().subarray(0, -1));

    expect(
      thrownBy(() => {
        wire.server.end();
      }).code,
    ).toBe('PTCP_FRAME_MALFORMED');
  });

  it('is not what came whole before it: those messages are delivered', () => {
    const wire = nativeWire();
    void wire.client.event(message('p', 1));
    const bytes = Buffer.concat([wire.clientWriter.take(), nativeFrame(99, 0)]);
    thrownBy(() => {
      wire.server.receive(bytes);
    });

    expect(wire.serverHeard).toEqual([['event', 'p', 1, undefined]]);
  });
});

describe('what a peer says when it leaves', () => {
  it.each<[string, string, unknown]>([
    ['a code we do not know', '{"code":"PTCP_FROM_THE_FUTURE","message":"m"}', { code: undefined, message: 'm' }],
    [
      'a code that is a name every object has',
      '{"code":"constructor","message":"m"}',
      { code: undefined, message: 'm' },
    ],
    ['no message', '{}', { code: undefined, message: expect.any(String) }],
    ['a message that is no text', '{"message":{"toString":1}}', { code: undefined, message: expect.any(String) }],
  ])('is taken with %s', (_title, json, notice) => {
    const wire = nativeWire();
    wire.client.receive(nativeFrame(TYPE.goaway, PAYLOAD.json, json));
    wire.server.receive(nativeFrame(TYPE.goaway, PAYLOAD.json, json));

    expect(wire.clientHeard).toEqual([['goaway', notice]]);
    expect(wire.serverHeard).toEqual([['goaway', notice]]);
  });
});
