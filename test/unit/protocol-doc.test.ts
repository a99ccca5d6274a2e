import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { PooledTcpError } from '../../lib/errors/pooled-tcp-error.js';
import { Output } from '../../lib/framing/output.js';
import {
  PROTOCOL_VERSION,
  parseHello,
  parseHelloAnswer,
  writeHello,
  writeRefusal,
  writeWelcome,
} from '../../lib/protocol/hello.js';
import {
  FAILURES,
  type ClientSink,
  type MessageWriter,
  type Metadata,
  type OutgoingMessage,
  type ServerSink,
} from '../../lib/protocol/messages.js';
import { NestJsonServerProtocol } from '../../lib/protocol/nest-json-server.js';
import { jsonCodec } from '../../lib/protocol/json-codec.js';
import { messagePackCodec } from '../../lib/protocol/msgpack-codec.js';
import {
  MAX_DEPTH,
  MAX_STRUCTURE_KEYS,
  MAX_STRUCTURE_KEY_BYTES,
  MAX_STRUCTURES,
} from '../../lib/protocol/msgpack/limits.js';
import { TYPE } from '../../lib/protocol/native/format.js';
import { NativeClientProtocol } from '../../lib/protocol/native/native-client.js';
import { NativeServerProtocol } from '../../lib/protocol/native/native-server.js';
import { TcpServer } from '../../lib/server/server.js';
import type { Dispatcher } from '../../lib/server/session.js';
import { resolveServerOptions, type PooledTcpServerOptions } from '../../lib/server/settings.js';
import { native } from '../../lib/protocol/protocol.js';
import { StepClock } from '../support/step-clock.js';

const DOCUMENT = readFileSync('docs/PROTOCOL.md', 'utf8');
const MAX = 8 * 1024 * 1024;
const HELLO = Buffer.from(blocks('frame').get('hello')?.trimEnd() ?? '');
const WELCOME = Buffer.from(blocks('frame').get('welcome')?.trimEnd() ?? '');
const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

/** Fenced blocks of the document with this word before their name. */
function blocks(kind: string): Map<string, string> {
  const found = DOCUMENT.matchAll(new RegExp(`^\`\`\`${kind} ([\\w-]+)\\n([^]*?)^\`\`\``, 'gm'));
  return new Map([...found].map(([, name = '', text = '']) => [name, text]));
}

/** The bytes of a hex block, whose comments begin with a semicolon. */
function bytesOf(block: string): Buffer {
  return Buffer.from(block.replace(/;.*$/gm, '').replace(/\s/g, ''), 'hex');
}

class Writer implements MessageWriter {
  readonly output = new Output();
  schedule(): void {}
  hold(): void {}
  take(): Buffer {
    return Buffer.concat(this.output.take());
  }
}

type Heard = readonly unknown[];

/** A sink of either side that writes down what it hears. */
function recorder(): ClientSink & ServerSink & { heard: Heard[] } {
  const heard: Heard[] = [];
  const hear =
    (name: string) =>
    (...message: unknown[]): void => {
      heard.push([name, ...message]);
    };
  return {
    heard,
    response: hear('response'),
    item: hear('item'),
    end: hear('end'),
    failure: hear('failure'),
    unsent: hear('unsent'),
    push: hear('push'),
    credit: hear('credit'),
    request: hear('request'),
    event: hear('event'),
    cancel: hear('cancel'),
    ping: hear('ping'),
    pong: hear('pong'),
    goaway: hear('goaway'),
    malformed: hear('malformed'),
  };
}

/** Both ends of a connection with nothing between them. */
function peers({ clientMax = MAX, serverMax = MAX, codec = jsonCodec } = {}) {
  const clock = new StepClock();
  const toServer = new Writer();
  const toClient = new Writer();
  const atClient = recorder();
  const atServer = recorder();
  const client = new NativeClientProtocol(toServer, atClient, {
    clock,
    maxFrameBytes: clientMax,
    peerMaxFrameBytes: serverMax,
    maxPatterns: 2,
    codec,
  });
  const server = new NativeServerProtocol(toClient, atServer, {
    clock,
    maxFrameBytes: serverMax,
    peerMaxFrameBytes: clientMax,
    codec,
  });
  return { client, server, toServer, toClient, atClient, atServer };
}

type Peers = ReturnType<typeof peers>;

const message = (route: string, data: unknown, metadata?: Metadata): OutgoingMessage => ({
  pattern: route,
  route,
  data,
  metadata,
});
const shutdown = { message: 'the server is shutting down' };
const boom = { status: 'error', message: 'boom' };

/** Every example of the document in its order, since pattern numbers build on those before. */
const EXAMPLES: Readonly<Record<string, { from: 'client' | 'server'; send: (peers: Peers) => void; heard: Heard }>> = {
  request: {
    from: 'client',
    send: ({ client }) => client.request(1, message('sum', [1, 2]), 500),
    heard: ['request', 1, 'sum', [1, 2], undefined, 500, false],
  },
  'request-again': {
    from: 'client',
    send: ({ client }) => client.request(2, message('sum', [3, 4]), 0),
    heard: ['request', 2, 'sum', [3, 4], undefined, undefined, false],
  },
  'request-literal': {
    from: 'client',
    send: ({ client }) => client.request(3, message('raw', Buffer.from('cafe', 'hex')), 10_000),
    heard: ['request', 3, 'raw', Buffer.from('cafe', 'hex'), undefined, 10_000, false],
  },
  'request-stream': {
    from: 'client',
    send: ({ client }) => client.request(5, { ...message('sum', undefined), isStreaming: true }, 0),
    heard: ['request', 5, 'sum', undefined, undefined, undefined, true],
  },
  event: {
    from: 'client',
    send: ({ client }) => void client.event(message('log', 'hi', { tenant: 'a' })),
    heard: ['event', 'log', 'hi', { tenant: 'a' }],
  },
  response: { from: 'server', send: ({ server }) => server.response(1, 3), heard: ['response', 1, 3] },
  'response-none': {
    from: 'server',
    send: ({ server }) => server.response(2, undefined),
    heard: ['response', 2, undefined],
  },
  item: { from: 'server', send: ({ server }) => server.item(3, { n: 0 }), heard: ['item', 3, { n: 0 }, 17] },
  end: { from: 'server', send: ({ server }) => server.completed(3), heard: ['end', 3] },
  failure: {
    from: 'server',
    send: ({ server }) => server.failure(4, 'handler', boom),
    heard: ['failure', 4, 'handler', boom],
  },
  credit: { from: 'client', send: ({ client }) => client.credit(3, 16_384), heard: ['credit', 3, 16_384] },
  cancel: { from: 'client', send: ({ client }) => client.cancel(2), heard: ['cancel', 2] },
  ping: { from: 'client', send: ({ client }) => client.ping(7), heard: ['ping', 7] },
  pong: { from: 'server', send: ({ server }) => server.pong(7), heard: ['pong', 7] },
  goaway: {
    from: 'server',
    send: ({ server }) => server.goaway(shutdown),
    heard: ['goaway', { code: undefined, ...shutdown }],
  },
  push: { from: 'server', send: ({ server }) => server.push('quote', 42), heard: ['push', 'quote', 42] },
};

/** The same for a connection that has agreed on MessagePack: one answer after the other. */
const sumAt = (sum: number) => ({ sum, at: new Date(1000 * (sum - 2)) });
const MESSAGEPACK_EXAMPLES = {
  'response-define': { id: 2, data: sumAt(4) },
  'response-shared': { id: 3, data: sumAt(5) },
} as const;

describe('docs/PROTOCOL.md, native frames', () => {
  const documented = blocks('hex');

  it('shows each message that exists', () => {
    expect([...documented.keys()].sort()).toEqual(
      [
        ...Object.keys(EXAMPLES),
        'fragment',
        'fragment-last',
        'response-msgpack',
        ...Object.keys(MESSAGEPACK_EXAMPLES),
      ].sort(),
    );
    const types = new Set([...documented.values()].map((block) => bytesOf(block)[4]));
    expect([...types].sort((a = 0, b = 0) => a - b)).toEqual(Object.values(TYPE));
  });

  /** A connection on which the pattern of the first request is known, as in the document. */
  function connectionBefore(name: string): Peers {
    const pair = peers();
    if (name === 'request-again' || name === 'request-stream' || name === 'event') EXAMPLES['request']?.send(pair);
    if (name === 'request-literal') {
      EXAMPLES['request']?.send(pair);
      EXAMPLES['event']?.send(pair);
    }
    pair.server.receive(pair.toServer.take());
    pair.atServer.heard.length = 0;
    return pair;
  }

  it.each(Object.entries(EXAMPLES))('%s is written as these bytes', (name, { from, send }) => {
    const pair = connectionBefore(name);
    send(pair);
    const written = (from === 'client' ? pair.toServer : pair.toClient).take();
    expect(written.toString('hex')).toBe(bytesOf(documented.get(name) ?? '').toString('hex'));
  });

  it.each(Object.entries(EXAMPLES))('%s is understood from these bytes', (name, { from, heard }) => {
    const pair = connectionBefore(name);
    const bytes = bytesOf(documented.get(name) ?? '');
    if (from === 'client') pair.server.receive(bytes);
    else pair.client.receive(bytes);
    expect((from === 'client' ? pair.atServer : pair.atClient).heard).toEqual([heard]);
  });

  it('puts the message in fragments together, and acknowledges each', () => {
    const { client, atClient, toServer } = peers();
    client.receive(bytesOf(documented.get('fragment') ?? ''));
    expect(atClient.heard).toEqual([]);
    client.receive(bytesOf(documented.get('fragment-last') ?? ''));
    expect(atClient.heard).toEqual([['response', 1, 3]]);
    expect(toServer.take().toString('hex')).toBe('0000000a0c000000000000000004' + '0000000a0c000000000000000003');
  });

  it('MessagePack that stands alone is written and understood as these bytes', () => {
    const bytes = bytesOf(documented.get('response-msgpack') ?? '');
    const { client, atClient } = peers({ codec: messagePackCodec() });
    client.receive(bytes);
    expect(atClient.heard).toEqual([['response', 1, { sum: 3 }]]);

    const { server, toClient } = peers({ codec: messagePackCodec() });
    // What may wait, and be dropped while it does.
    server.writeEncoded(1, server.encodeItem(1, { sum: 3 }));
    const item = toClient.take();
    item[4] = TYPE.response;
    expect(item.toString('hex')).toBe(bytes.toString('hex'));
  });

  it('MessagePack that builds on what was sent before is written as these bytes', () => {
    const { server, toClient } = peers({ codec: messagePackCodec() });
    server.response(1, sumAt(3));
    toClient.take();
    for (const [name, { id, data }] of Object.entries(MESSAGEPACK_EXAMPLES)) {
      server.response(id, data);
      expect(toClient.take().toString('hex')).toBe(bytesOf(documented.get(name) ?? '').toString('hex'));
    }
  });

  it('MessagePack that builds on what was sent before is understood from these bytes', () => {
    const { client, atClient } = peers({ codec: messagePackCodec() });
    for (const name of Object.keys(MESSAGEPACK_EXAMPLES)) client.receive(bytesOf(documented.get(name) ?? ''));
    expect(atClient.heard).toEqual(
      Object.values(MESSAGEPACK_EXAMPLES).map(({ id, data }) => ['response', id, data] as const),
    );
  });

  it('names the limits of MessagePack as they are', () => {
    expect(DOCUMENT).toContain(
      `| ${MAX_STRUCTURES}, of 1 to ${MAX_STRUCTURE_KEYS} keys of at most ${MAX_STRUCTURE_KEY_BYTES} bytes `,
    );
    expect(DOCUMENT).toMatch(new RegExp(`^\\| levels of a MessagePack value +\\| ${MAX_DEPTH} `, 'm'));
  });

  it('lists the types and the failures by their numbers', () => {
    for (const [name, number] of Object.entries(TYPE))
      expect(DOCUMENT).toMatch(new RegExp(`^\\| ${number} +\\| \\[${name}\\]`, 'm'));
    for (const [number, { code }] of FAILURES.entries())
      expect(DOCUMENT).toMatch(new RegExp(`^\\| ${number} +\\| [a-z ]+\\| \`${code}\``, 'm'));
  });
});

describe('docs/PROTOCOL.md, stock frames', () => {
  const documented = blocks('frame');
  const frame = (name: string): string => documented.get(name)?.trimEnd() ?? '';
  const packet = (name: string): unknown => JSON.parse(frame(name).replace(/^\d+#/, ''));
  const hello = { versions: [PROTOCOL_VERSION], maxFrameBytes: MAX, streamWindowBytes: 262_144 };
  const welcome = {
    version: PROTOCOL_VERSION,
    maxFrameBytes: MAX,
    streamWindowBytes: 262_144,
    idleTimeoutMs: 180_000,
    maxPatterns: 1024,
  };

  it('shows the hello that the client sends and the server takes', () => {
    const writer = new Writer();
    writeHello(writer.output, hello);
    expect(writer.take().toString()).toBe(frame('hello'));
    expect(parseHello(packet('hello'))).toEqual(hello);
  });

  it('shows the welcome that the server sends and the client takes', () => {
    const writer = new Writer();
    writeWelcome(writer.output, 'pooled-tcp:hello', welcome);
    expect(writer.take().toString()).toBe(frame('welcome'));
    expect(parseHelloAnswer(packet('welcome'))).toEqual({ kind: 'welcome', welcome });
  });

  it('shows the hello and the welcome that agree on MessagePack', () => {
    const writer = new Writer();
    const codecs = ['msgpack', 'json'];
    writeHello(writer.output, { ...hello, codecs });
    expect(writer.take().toString()).toBe(frame('hello-msgpack'));
    expect(parseHello(packet('hello-msgpack'))).toEqual({ ...hello, codecs });
    writeWelcome(writer.output, 'pooled-tcp:hello', { ...welcome, codec: 'msgpack' });
    expect(writer.take().toString()).toBe(frame('welcome-msgpack'));
    expect(parseHelloAnswer(packet('welcome-msgpack'))).toEqual({
      kind: 'welcome',
      welcome: { ...welcome, codec: 'msgpack' },
    });
  });

  it('refuses a welcome with a codec that does not exist', () => {
    const response = { ...welcome, codec: 'cbor' };
    expect(() => parseHelloAnswer({ id: 'pooled-tcp:hello', response, isDisposed: true })).toThrow(
      expect.objectContaining({ code: 'PTCP_HANDSHAKE_FAILED' }),
    );
  });

  it('shows the refusal that the server sends and the client throws', () => {
    const writer = new Writer();
    const reason = 'the server has 4096 connections, as many as maxConnections allows';
    writeRefusal(writer.output, 'pooled-tcp:hello', new PooledTcpError('PTCP_SERVER_OVERLOADED', reason));
    expect(writer.take().toString()).toBe(frame('refusal'));
    expect(() => parseHelloAnswer(packet('refusal'))).toThrow(
      expect.objectContaining({ code: 'PTCP_SERVER_OVERLOADED', message: reason }),
    );
  });

  it('shows what a server answers that knows no hello', () => {
    const writer = new Writer();
    const server: NestJsonServerProtocol = new NestJsonServerProtocol(
      writer,
      { ...recorder(), request: (id) => server.failure(id, 'no-handler', NO_HANDLER) },
      { maxFrameBytes: MAX },
    );
    server.receive(Buffer.from(frame('hello')));
    expect(writer.take().toString()).toBe(frame('stock'));
    expect(parseHelloAnswer(packet('stock'))).toEqual({ kind: 'stock' });
  });

  it('ignores fields it does not know', () => {
    const { data, ...rest } = packet('hello') as { data: object };
    expect(parseHello({ ...rest, more: 1, data: { ...data, more: 1 } })).toEqual(hello);
    const answer = packet('welcome') as { response: object };
    expect(parseHelloAnswer({ ...answer, more: 1, response: { ...answer.response, more: 1 } })).toEqual({
      kind: 'welcome',
      welcome,
    });
  });

  it('refuses a peer that takes only frames below 1024 bytes', () => {
    const data = { versions: [1], maxFrameBytes: 1023 };
    expect(() => parseHello({ pattern: 'pooled-tcp:hello', data, id: 1 })).toThrow(
      expect.objectContaining({ code: 'PTCP_PROTOCOL_VIOLATION' }),
    );
    const response = { ...welcome, maxFrameBytes: 1023 };
    expect(() => parseHelloAnswer({ id: 'pooled-tcp:hello', response, isDisposed: true })).toThrow(
      expect.objectContaining({ code: 'PTCP_HANDSHAKE_FAILED' }),
    );
  });
});

describe('docs/PROTOCOL.md, limits and violations', () => {
  const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
  const refusedWith = (code: string): unknown => expect.objectContaining({ code });

  /** A frame around these bytes, which begin with type and flags. */
  function frameOf(content: string): Buffer {
    const bytes = hex(content);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  }

  it.each([
    ['a length below 2', '08', 'PTCP_PROTOCOL_VIOLATION'],
    ['an unknown type', '0c 00 00 00 00 01', 'PTCP_PROTOCOL_VIOLATION'],
    ['a type in the wrong direction', '03 00 00 00 00 01', 'PTCP_PROTOCOL_VIOLATION'],
    ['a frame that ends inside its fields', '08 00 00 00 00', 'PTCP_PROTOCOL_VIOLATION'],
    ['a pattern that was not defined', '01 00 00 00 00 01 00 01', 'PTCP_PROTOCOL_VIOLATION'],
    ['a pattern defined out of order', '01 10 00 00 00 01 00 02 00 01 61', 'PTCP_PROTOCOL_VIOLATION'],
    ['an unknown payload kind', '01 16 00 00 00 01 00 00 00 01 61', 'PTCP_PROTOCOL_VIOLATION'],
    ['a payload kind not agreed on', '01 13 00 00 00 01 00 00 00 01 61', 'PTCP_PROTOCOL_VIOLATION'],
    ['metadata that is no object', '02 50 00 00 00 01 61 00 00 00 01 31', 'PTCP_PROTOCOL_VIOLATION'],
    ['metadata that is not JSON', '02 50 00 00 00 01 61 00 00 00 01 7b', 'PTCP_PAYLOAD_MALFORMED'],
    ['a goaway that is not an object', '0a 01 31', 'PTCP_PROTOCOL_VIOLATION'],
    ['a goaway that is not JSON', '0a 01 7b', 'PTCP_PAYLOAD_MALFORMED'],
  ])('a server refuses %s', (_what, content, code) => {
    expect(() => peers().server.receive(frameOf(content))).toThrow(refusedWith(code));
  });

  it('a server refuses a frame larger than maxFrameBytes before it has come', () => {
    expect(() => peers({ serverMax: 1024 }).server.receive(hex('00 00 03 fd'))).toThrow(
      refusedWith('PTCP_FRAME_TOO_LARGE'),
    );
    expect(() => peers({ serverMax: 1024 }).server.receive(hex('00 00 03 fc'))).not.toThrow();
  });

  it('a client refuses a failure of unknown kind', () => {
    expect(() => peers().client.receive(frameOf('06 00 00 00 00 01 08'))).toThrow(
      refusedWith('PTCP_PROTOCOL_VIOLATION'),
    );
  });

  it('a request whose payload does not parse fails alone, and has defined its pattern', () => {
    const { server, atServer, toClient, client, atClient } = peers();
    server.receive(frameOf('01 11 00 00 00 01 00 01 00 01 61 7b'));
    server.receive(frameOf('01 00 00 00 00 02 00 01'));
    expect(atServer.heard).toEqual([['request', 2, 'a', undefined, undefined, undefined, false]]);
    client.receive(toClient.take());
    expect(atClient.heard).toEqual([['failure', 1, 'malformed', expect.any(String)]]);
  });

  it('an answer that does not parse counts as sent, since its handler has run', () => {
    const { client, atClient } = peers();
    client.receive(frameOf('03 01 00 00 00 01 7b'));
    expect(atClient.heard).toEqual([['failure', 1, 'malformed', expect.any(String)]]);
    expect(FAILURES.find(({ kind }) => kind === 'malformed')?.sent).toBe(true);
  });

  it('ignores bytes after the fields where there is no payload, and flags without a meaning', () => {
    const { client, atClient } = peers();
    client.receive(frameOf('05 f0 00 00 00 03 ff ff'));
    expect(atClient.heard).toEqual([['end', 3]]);
  });

  it('checks the size of text in bytes before it is sent', () => {
    const { server, toClient } = peers({ clientMax: 1024 });
    expect(() => server.response(1, 'é'.repeat(600))).toThrow(refusedWith('PTCP_FRAME_TOO_LARGE'));
    expect(toClient.take()).toHaveLength(0);
    server.response(1, 'e'.repeat(1000));
    expect(toClient.take()).toHaveLength(10 + 1002);
  });
});

describe('docs/PROTOCOL.md, a peer at a server', () => {
  const requests = jest.fn<Dispatcher['request']>();
  const logger = { log: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
  let server: TcpServer | undefined;
  let socket: Socket | undefined;

  beforeEach(() => {
    requests.mockReset();
  });
  afterEach(async () => {
    socket?.destroy();
    await server?.close();
  });

  /** A raw socket at a new server. */
  async function dial(options: PooledTcpServerOptions): Promise<Peer> {
    const settings = resolveServerOptions({ host: '127.0.0.1', port: 0, ...options });
    server = new TcpServer(settings, { dispatcher: { request: requests, event: () => {} }, logger });
    await server.listen();
    const address = server.netServer.address();
    socket = connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1');
    return new Peer(socket);
  }

  const stock = (packet: object): string => {
    const json = JSON.stringify(packet);
    return `${json.length}#${json}`;
  };

  it('switches to the native protocol with the byte behind the hello, and behind the welcome', async () => {
    const peer = await dial({});
    peer.socket.write(Buffer.concat([HELLO, bytesOf(blocks('hex').get('ping') ?? '')]));
    const pong = bytesOf(blocks('hex').get('pong') ?? '');
    const expected = Buffer.concat([WELCOME, pong]).toString('latin1');
    expect(await peer.until((received) => received.length >= expected.length)).toBe(expected);
  });

  it('says in a goaway why it closes after a violation', async () => {
    const peer = await dial({});
    peer.socket.write(Buffer.concat([HELLO, Buffer.from('00000006ff0000000001', 'hex')]));
    const goaway = (await peer.untilEnd()).slice(WELCOME.length);
    expect(goaway.charCodeAt(4)).toBe(TYPE.goaway);
    expect(JSON.parse(goaway.slice(6))).toMatchObject({ code: 'PTCP_PROTOCOL_VIOLATION' });
  });

  it('with native() only, no request of a stock client reaches a handler', async () => {
    const peer = await dial({ protocol: native() });
    peer.socket.write(stock({ pattern: 'sum', data: [1], id: '1' }) + stock({ pattern: 'sum', data: [2], id: '2' }));
    expect(await peer.untilEnd()).toContain('PTCP_PROTOCOL_MISMATCH');
    expect(requests).not.toHaveBeenCalled();
  });

  it('closes a client that takes frames too small for any notice', async () => {
    const peer = await dial({});
    peer.socket.write(stock({ pattern: 'pooled-tcp:hello', data: { versions: [1], maxFrameBytes: 0 }, id: 1 }));
    expect(await peer.untilEnd()).toContain('PTCP_PROTOCOL_VIOLATION');
  });
});

/** One end of a socket, which keeps what it has received (as latin1: a character a byte). */
class Peer {
  readonly socket: Socket;
  #received = '';

  constructor(socket: Socket) {
    this.socket = socket.setEncoding('latin1').on('data', (text) => (this.#received += String(text)));
  }

  async until(isEnough: (received: string) => boolean): Promise<string> {
    while (!isEnough(this.#received)) await once(this.socket, 'data');
    return this.#received;
  }

  async untilEnd(): Promise<string> {
    await once(this.socket, 'end');
    return this.#received;
  }
}
