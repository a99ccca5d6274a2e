import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import {
  parseHello,
  parseHelloAnswer,
  PROTOCOL_VERSION,
  writeHello,
  writeRefusal,
  writeWelcome,
  type Hello,
  type Welcome,
} from '../../../lib/protocol/hello.js';
import { everySplit, thrownBy } from '../../support/bytes.js';
import { MAX_FRAME_BYTES, MemoryWriter, message, nativeWire, nestFrameOf, nestJsonWire, packetsIn } from './harness.js';

const HELLO: Hello = { versions: [PROTOCOL_VERSION], maxFrameBytes: MAX_FRAME_BYTES, streamWindowBytes: 4_096 };
const WELCOME: Welcome = {
  version: 1,
  maxFrameBytes: 1_000_000,
  streamWindowBytes: 8_192,
  idleTimeoutMs: 180_000,
  maxPatterns: 1024,
};

/** The hello's own bytes. */
function hello(): Buffer {
  const writer = new MemoryWriter();
  writeHello(writer.output, HELLO);
  return writer.take();
}

/** The packet in one frame that `write` makes. */
function packetOf(write: (writer: MemoryWriter) => void): unknown {
  const writer = new MemoryWriter();
  write(writer);
  return packetsIn(writer.take())[0];
}

describe('the hello', () => {
  it('is a request that a stock server answers like any unknown pattern', () => {
    const [packet] = packetsIn(hello());
    const { id } = packet as { id: string };

    expect(packet).toEqual({ pattern: 'pooled-tcp:hello', data: HELLO, id });
    expect(
      parseHelloAnswer({
        id,
        status: 'error',
        err: 'There is no matching message handler defined in the remote service.',
      }),
    ).toEqual({ kind: 'stock' });
  });

  it('is recognised by our server, and answered with a welcome', () => {
    const [packet] = packetsIn(hello());
    expect(parseHello(packet)).toEqual(HELLO);
    const { id } = packet as { id: string };

    const answer = packetOf((writer) => {
      writeWelcome(writer.output, id, WELCOME);
    });
    expect(parseHelloAnswer(answer)).toEqual({ kind: 'welcome', welcome: WELCOME });
  });

  it('upgrades the connection: the bytes behind it are the native protocol’s, wherever the stream is cut', () => {
    const wire = nativeWire();
    wire.client.request(1, message('sum', [1, 2]), 100);
    void wire.client.event(message('sum', 'é'));
    const bytes = Buffer.concat([hello(), wire.clientWriter.take()]);

    for (const chunks of everySplit(bytes)) {
      const hellos: Hello[] = [];
      const { server: stock, serverHeard: stockHeard } = nestJsonWire({
        server: { onHello: (said) => hellos.push(said) > 0 },
      });
      const { server, serverHeard } = nativeWire();
      for (const chunk of chunks) {
        if (hellos.length > 0) server.receive(chunk);
        else {
          stock.receive(chunk);
          if (hellos.length > 0) server.receive(stock.takeRest());
        }
      }
      expect(hellos).toEqual([HELLO]);
      expect(stockHeard).toEqual([]);
      expect(serverHeard.map(([method]) => method)).toEqual(['request', 'event']);
    }
  });

  it('is an unknown pattern like any other where the server does not upgrade', () => {
    for (const onHello of [undefined, () => false]) {
      const { server, serverHeard } = nestJsonWire({ server: { onHello } });
      server.receive(hello());
      server.receive(nestFrameOf({ pattern: 'p', id: '1' }));

      expect(serverHeard.map(([method, , pattern]) => [method, pattern])).toEqual([
        ['request', 'pooled-tcp:hello'],
        ['request', 'p'],
      ]);
    }
  });

  it('counts only as the first message', () => {
    const hellos: Hello[] = [];
    const { server, serverHeard } = nestJsonWire({ server: { onHello: (said) => hellos.push(said) > 0 } });
    server.receive(Buffer.concat([nestFrameOf({ pattern: 'p', data: 1 }), hello()]));

    expect(hellos).toEqual([]);
    expect(serverHeard.map(([method]) => method)).toEqual(['event', 'request']);
  });

  it.each<[string, unknown]>([
    ['another pattern', { pattern: 'sum', data: HELLO, id: '1' }],
    ['no id', { pattern: 'pooled-tcp:hello', data: HELLO }],
    ['no data', { pattern: 'pooled-tcp:hello', id: '1' }],
    ['versions that are no list', { pattern: 'pooled-tcp:hello', id: '1', data: { ...HELLO, versions: 1 } }],
    ['no limit', { pattern: 'pooled-tcp:hello', id: '1', data: { versions: [1] } }],
    ['a negative limit', { pattern: 'pooled-tcp:hello', id: '1', data: { versions: [1], maxFrameBytes: -1 } }],
    ['a fraction as limit', { pattern: 'pooled-tcp:hello', id: '1', data: { versions: [1], maxFrameBytes: 2048.5 } }],
    ['no object', 'pooled-tcp:hello'],
    ['an array', []],
    ['null', null],
  ])('is not taken for one with %s', (_title, packet) => {
    expect(parseHello(packet)).toBeUndefined();
  });

  it('is refused from a client that takes frames too small to be told anything', () => {
    const packet = { pattern: 'pooled-tcp:hello', id: '1', data: { versions: [1], maxFrameBytes: 0 } };

    expect(thrownBy(() => parseHello(packet)).code).toBe('PTCP_PROTOCOL_VIOLATION');
  });

  it('may offer versions we do not know, and be made of nonsense in part', () => {
    const data = { versions: [1, 2, 'x', -1, 1.5, null], maxFrameBytes: 2048, extra: true };

    expect(parseHello({ pattern: 'pooled-tcp:hello', id: '1', data })?.versions).toEqual([1, 2]);
  });
});

describe('the answer to the hello', () => {
  const id = (packetsIn(hello())[0] as { id: string }).id;

  it('may be a refusal, which becomes the client’s error', () => {
    const error = new PooledTcpError('PTCP_SERVER_OVERLOADED', 'the server has 4096 connections');
    const answer = packetOf((writer) => {
      writeRefusal(writer.output, id, error);
    });

    expect(thrownBy(() => parseHelloAnswer(answer))).toMatchObject({
      code: 'PTCP_SERVER_OVERLOADED',
      message: 'the server has 4096 connections',
      sent: false,
    });
  });

  it.each<[string, unknown]>([
    ['is no object', 'hello yourself'],
    ['is an array', []],
    ['is null', null],
    ['has another id', { id: '1', response: WELCOME, isDisposed: true }],
    ['has no content', { id, isDisposed: true }],
    ['welcomes with a list', { id, response: [1], isDisposed: true }],
    ['has another version', { id, response: { ...WELCOME, version: 2 }, isDisposed: true }],
    ['lacks a field', { id, response: { ...WELCOME, maxPatterns: undefined }, isDisposed: true }],
    ['has a field of the wrong type', { id, response: { ...WELCOME, idleTimeoutMs: '180' }, isDisposed: true }],
    ['is an error of someone else', { id, err: 'go away', isDisposed: true }],
    ['is an error with a code we do not know', { id, err: { code: 'E_NOPE', message: 'm' } }],
    ['is an error with a name every object has for a code', { id, err: { code: 'constructor', message: 'm' } }],
    ['is an error whose message is no text', { id, err: { code: 'PTCP_SERVER_OVERLOADED', message: { toString: 1 } } }],
  ])('is refused when it %s', (_title, packet) => {
    expect(thrownBy(() => parseHelloAnswer(packet)).code).toBe('PTCP_HANDSHAKE_FAILED');
  });
});
