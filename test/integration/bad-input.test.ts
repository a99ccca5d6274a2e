import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { firstValueFrom } from 'rxjs';
import { native, nestJson, PooledTcpError, type PooledTcpServerOptions } from '../../lib/index.js';
import { Scope, type RunningPooledServer } from '../support/nest-app.js';
import { ConnectionCount, freePort, nestFrame, RawPeer, startRawServer, until } from '../support/sockets.js';

const scope = new Scope();
/** Calls of `hold` that wait to be let go. */
const held: (() => void)[] = [];
let overloads = 0;

@Controller()
class VictimController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('hold')
  hold(@Payload() data: unknown): Promise<unknown> {
    return new Promise((resolve) => {
      held.push(() => {
        resolve(data);
      });
    });
  }

  @MessagePattern('boom')
  boom(): never {
    throw new Error('boom');
  }

  @MessagePattern('bigint')
  bigint(): bigint {
    return 1n;
  }

  @MessagePattern('large')
  large(@Payload() size: number): string {
    return 'x'.repeat(size);
  }

  @MessagePattern('downstream-overloaded')
  downstreamOverloaded(): never {
    overloads += 1;
    throw new RpcException(new PooledTcpError('PTCP_SERVER_OVERLOADED', 'somebody further down is busy'));
  }
}

/** A server with a client of good manners, whose calls run while somebody misbehaves. */
class Crowd {
  readonly server: RunningPooledServer;
  readonly connections: ConnectionCount;
  readonly #failures: unknown[] = [];
  #answered = 0;
  #isOver = false;
  readonly #callers: Promise<void>[];

  private constructor(server: RunningPooledServer) {
    this.server = server;
    this.connections = new ConnectionCount(server.netServer);
    const client = scope.client(server.port, { pool: { min: 1, max: 1 } });
    this.#callers = Array.from({ length: 10 }, async (_, caller) => {
      for (let i = 0; !this.#isOver; i++) {
        const sent = `${caller}/${i}`;
        try {
          const answer = await client.request('echo', sent);
          if (answer !== sent) this.#failures.push(`${sent} got ${String(answer)}`);
          this.#answered += 1;
        } catch (error) {
          this.#failures.push(error);
        }
        await nextTurn();
      }
    });
  }

  static async gather(options: PooledTcpServerOptions = {}): Promise<Crowd> {
    const crowd = new Crowd(await scope.server([VictimController], options));
    scope.defer(() => {
      crowd.#isOver = true;
    });
    await crowd.answers(20);
    return crowd;
  }

  get port(): number {
    return this.server.port;
  }

  /** That many more calls have been answered. */
  async answers(more: number): Promise<void> {
    const enough = this.#answered + more;
    await until(() => this.#answered >= enough || this.#failures.length > 0);
  }

  /** Ends the calls; none of them may have failed. */
  async disperse(): Promise<void> {
    await this.answers(20);
    this.#isOver = true;
    await Promise.all(this.#callers);
    expect(this.#failures).toEqual([]);
  }
}

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  const outcome: unknown = await call.catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(PooledTcpError);
  return outcome;
}

describe('a host', () => {
  it('that refuses: each call fails unsent, with the refusal as the cause', async () => {
    const client = scope.client(await freePort(), { pool: { prewarmTimeoutMs: 300 } });
    await expect(failureOf(client.connect())).resolves.toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      cause: { code: 'PTCP_CONNECT_FAILED', cause: { code: 'ECONNREFUSED' } },
    });
    const refused = { sent: false, cause: { code: 'PTCP_CONNECT_FAILED' } };
    await expect(failureOf(client.request('echo', 1, { timeoutMs: 30 }))).resolves.toMatchObject({
      code: 'PTCP_ACQUIRE_TIMEOUT',
      ...refused,
    });
    await expect(
      firstValueFrom(scope.client(await freePort(), { pool: { acquireTimeoutMs: 300 } }).emit('x', 1)),
    ).rejects.toMatchObject({
      code: 'PTCP_ACQUIRE_TIMEOUT',
      ...refused,
    });
  });

  it('that accepts and never answers: PTCP_CONNECT_TIMEOUT, and nothing stays open', async () => {
    const silent = await startRawServer();
    scope.defer(() => silent.close());
    const count = new ConnectionCount(silent.server);
    for (const protocol of [native(), nestJson()]) {
      const client = scope.client(silent.port, {
        protocol,
        pool: { min: 1, connectTimeoutMs: 30, prewarmTimeoutMs: 300 },
      });
      await expect(failureOf(client.connect())).resolves.toMatchObject({ cause: { code: 'PTCP_CONNECT_TIMEOUT' } });
      client.destroy();
    }
    await until(() => count.open === 0);
    expect(count.total).toBeGreaterThan(1);
  });

  it.each<[string, string]>([
    ['answers with garbage', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['answers with JSON that does not parse', '5#{"id"'],
    ['answers with another packet', nestFrame({ hello: 'world' })],
    ['announces 100 MB', '104857600#{'],
    ['closes at once', ''],
  ])('that %s fails the connect with a code', async (_what, bytes) => {
    const host = await startRawServer((peer) => {
      peer.socket.once('data', () => {
        if (bytes === '') peer.socket.destroy();
        else peer.send(bytes);
      });
    });
    scope.defer(() => host.close());
    const client = scope.client(host.port, { pool: { prewarmTimeoutMs: 300 } });
    await expect(failureOf(client.connect())).resolves.toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      cause: { code: 'PTCP_HANDSHAKE_FAILED', peer: `127.0.0.1:${host.port}`, sent: false },
    });
  });

  it('that is a stock server fails native() with PTCP_PROTOCOL_MISMATCH', async () => {
    const { port } = await scope.stockServer([VictimController]);
    const client = scope.client(port, { protocol: native(), pool: { prewarmTimeoutMs: 300 } });
    await expect(failureOf(client.connect())).resolves.toMatchObject({ cause: { code: 'PTCP_PROTOCOL_MISMATCH' } });
  });

  it('that says goodbye right after the welcome is let go of', async () => {
    const welcome = { version: 1, maxFrameBytes: 1_048_576, idleTimeoutMs: 0, maxPatterns: 16 };
    const notice = Buffer.from(JSON.stringify({ message: 'the server is shutting down' }));
    const head = Buffer.alloc(6);
    head.writeUInt32BE(notice.length + 2);
    // A goaway with a JSON payload.
    head.set([10, 1], 4);
    const hello = nestFrame({ id: 'pooled-tcp:hello', response: welcome, isDisposed: true });
    const closed: Promise<void>[] = [];
    const host = await startRawServer((peer) => {
      closed.push(peer.closed);
      peer.socket.once('data', () => {
        peer.send(Buffer.concat([Buffer.from(hello), head, notice]));
      });
    });
    scope.defer(() => host.close());
    const client = scope.client(host.port, { pool: { min: 1, prewarmTimeoutMs: 300 } });
    await expect(failureOf(client.connect())).resolves.toMatchObject({ cause: { code: 'PTCP_HANDSHAKE_FAILED' } });
    await closed[0];
  });
});

describe('a bad option', () => {
  it('is refused before anything is opened, at either end', () => {
    expect(() => scope.client(undefined, { port: 1, pool: { max: 0 } })).toThrow(
      expect.objectContaining({ code: 'PTCP_OPTION_INVALID', message: expect.stringContaining('pool.max') }),
    );
    return expect(scope.server([], { maxConnections: 0 })).rejects.toMatchObject({ code: 'PTCP_OPTION_INVALID' });
  });
});

describe.each([native(), nestJson()])('while others call, $protocol', (protocol) => {
  it('a message too large is refused before it is sent', async () => {
    const crowd = await Crowd.gather({ maxFrameBytes: 20_000 });
    const client = scope.client(crowd.port, { protocol, pool: { min: 1, max: 1 }, maxFrameBytes: 20_000 });
    const others = Array.from({ length: 20 }, (_, i) => client.request('echo', i));
    // Also where only its bytes, and not its characters, are too many.
    for (const text of ['x'.repeat(20_001), '€'.repeat(7_000), '👋'.repeat(6_000)]) {
      await expect(failureOf(client.request('echo', text))).resolves.toMatchObject({
        code: 'PTCP_FRAME_TOO_LARGE',
        sent: false,
      });
    }
    await expect(Promise.all(others)).resolves.toHaveLength(20);
    await expect(client.request('echo', '€'.repeat(6_000))).resolves.toHaveLength(6_000);
    expect(client.stats().endpoints[0]).toMatchObject({ created: 1, total: 1 });
    await crowd.disperse();
  });

  it('an answer too large fails its own call only', async () => {
    const crowd = await Crowd.gather({ maxFrameBytes: 20_000 });
    const client = scope.client(crowd.port, { protocol, pool: { min: 1, max: 1 } });
    await expect(failureOf(client.request<string>('large', 30_000).then((text) => text.length))).resolves.toMatchObject(
      {
        code: 'PTCP_FRAME_TOO_LARGE',
        sent: true,
      },
    );
    await expect(client.request('large', 10_000)).resolves.toHaveLength(10_000);
    expect(client.stats().endpoints[0]).toMatchObject({ created: 1 });
    await crowd.disperse();
  });

  it('handlers that throw, or answer what cannot be serialised, fail their own calls only', async () => {
    const crowd = await Crowd.gather();
    const client = scope.client(crowd.port, { protocol, pool: { min: 1, max: 1 } });
    const bad = Array.from({ length: 50 }, (_, i) => failureOf(client.request(i % 2 === 0 ? 'boom' : 'bigint', {})));
    const good = Array.from({ length: 50 }, (_, i) => client.request('echo', i));
    await expect(Promise.all(good)).resolves.toEqual(Array.from({ length: 50 }, (_, i) => i));
    const codes = (await Promise.all(bad)).map((error) => (error as PooledTcpError).code);
    expect(new Set(codes)).toEqual(new Set(['PTCP_HANDLER_FAILED', 'PTCP_PAYLOAD_UNSERIALIZABLE']));
    expect(client.stats().endpoints[0]).toMatchObject({ created: 1 });
    await crowd.disperse();
  });

  it('a handler that passes on a refusal from further down has run, and is not run again', async () => {
    const crowd = await Crowd.gather();
    const client = scope.client(crowd.port, { protocol });
    const before = overloads;
    await expect(failureOf(client.request('downstream-overloaded', {}))).resolves.toMatchObject({
      code: 'PTCP_HANDLER_FAILED',
      sent: true,
      cause: { code: 'PTCP_SERVER_OVERLOADED' },
    });
    expect(overloads - before).toBe(1);
    await crowd.disperse();
  });

  it('a connection cut in mid-call fails its own calls as sent, and the pool is refilled', async () => {
    const crowd = await Crowd.gather();
    const client = scope.client(crowd.port, { protocol, pool: { min: 2, max: 2 }, backoff: { initialMs: 1 } });
    await client.connect();
    const calls = Array.from({ length: 10 }, (_, i) => failureOf(client.request('hold', i)));
    await until(() => held.length === 10);
    const [, ...others] = crowd.connections.sockets;
    for (const socket of others) socket.destroy();
    for (const failure of await Promise.all(calls)) {
      expect(failure).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
    }
    held.length = 0;
    await until(() => client.stats().total === 2);
    await expect(client.request('echo', 1)).resolves.toBe(1);
    expect(client.stats().endpoints[0]).toMatchObject({ created: 4, closed: { lost: 2 } });
    await crowd.disperse();
  });

  it('connections beyond maxConnections are refused with a code', async () => {
    const crowd = await Crowd.gather({ maxConnections: 2 });
    const one = scope.client(crowd.port, { protocol, pool: { min: 1, max: 1 } });
    await one.connect();
    const two = scope.client(crowd.port, { protocol, pool: { min: 1, max: 1, prewarmTimeoutMs: 300 } });
    await expect(failureOf(two.connect())).resolves.toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      cause: { code: 'PTCP_SERVER_OVERLOADED', sent: false },
    });
    await expect(one.request('echo', 1)).resolves.toBe(1);
    expect(crowd.server.strategy.stats()).toMatchObject({ connections: 2, accepted: 2 });
    expect(crowd.server.strategy.stats().refused).toBeGreaterThan(0);
    one.destroy();
    two.destroy();
    await crowd.disperse();
  });

  it('calls beyond maxInFlightPerConnection are refused unsent', async () => {
    const crowd = await Crowd.gather({ maxInFlightPerConnection: 20 });
    const client = scope.client(crowd.port, { protocol, pool: { min: 1, max: 1 } });
    const calls = Array.from({ length: 20 }, (_, i) => client.request('hold', i));
    await until(() => held.length === 20);
    await expect(failureOf(client.request('hold', 20))).resolves.toMatchObject({
      code: 'PTCP_SERVER_OVERLOADED',
      sent: false,
    });
    for (const letGo of held.splice(0)) letGo();
    await expect(Promise.all(calls)).resolves.toHaveLength(20);
    await expect(client.request('echo', 1)).resolves.toBe(1);
    await crowd.disperse();
  });

  it('a connection that carries no call for longer than the first frame may take stays open', async () => {
    const crowd = await Crowd.gather({ firstFrameTimeoutMs: 150 });
    const client = scope.client(crowd.port, { protocol, pool: { min: 2, max: 2 } });
    const mute = await RawPeer.connect(crowd.port);
    await client.connect();
    // Connected before: once it is closed for its silence, the others' time has come, too.
    await mute.closed;
    const later = await RawPeer.connect(crowd.port);
    await later.closed;
    expect(client.stats()).toMatchObject({ total: 2, endpoints: [{ created: 2 }] });
    await crowd.disperse();
  });
});

describe('a raw peer, while others call', () => {
  it.each<[string, string | Buffer, string]>([
    ['announces 100 MB', '104857600#{"pattern":"echo"', 'PTCP_FRAME_TOO_LARGE'],
    ['sends garbage', Buffer.from([0xff, 0x00, 0xfe, 0x80, 0x23, 0x0a]), 'PTCP_FRAME_MALFORMED'],
    ['speaks HTTP', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 'PTCP_FRAME_MALFORMED'],
  ])('that %s is told why and closed', async (_what, bytes, code) => {
    const crowd = await Crowd.gather();
    const peer = await RawPeer.connect(crowd.port);
    peer.send(bytes);
    await expect(peer.receive(1)).resolves.toMatchObject([{ err: { status: 'error', code } }]);
    await peer.closed;
    expect(peer.packets).toHaveLength(1);
    await crowd.disperse();
  });

  it('whose JSON does not parse is told so, and its next message is served', async () => {
    const crowd = await Crowd.gather();
    const peer = await RawPeer.connect(crowd.port);
    peer.send('7#{"id":1');
    peer.send('5#{nope');
    peer.sendPacket({ id: '2', pattern: 'echo', data: 'still here' });
    const packets = await peer.receive(3);
    expect(packets).toContainEqual(expect.objectContaining({ id: '2', response: 'still here' }));
    expect(packets.filter((packet) => 'err' in (packet as object))).toHaveLength(2);
    peer.socket.destroy();
    await crowd.disperse();
  });

  it.each<[string, unknown]>([
    ['a number', 7],
    ['null', null],
    ['an array', [1, 2]],
    ['an object with nothing in it', {}],
    ['an id and no pattern', { id: '1' }],
    ['a pattern nested 2 000 deep', { id: '1', pattern: nested(2_000) }],
    ['a pattern by the name of a prototype', { id: '1', pattern: '__proto__' }],
  ])('that sends %s harms nobody and is served further', async (_what, packet) => {
    const crowd = await Crowd.gather();
    const peer = await RawPeer.connect(crowd.port);
    peer.sendPacket(packet);
    peer.sendPacket({ id: '2', pattern: 'echo', data: 'still here' });
    await until(() => peer.text.includes('still here') || peer.socket.destroyed);
    expect(peer.text).toContain('still here');
    peer.socket.destroy();
    await crowd.disperse();
  });

  it('that breaks the native protocol is told why and closed', async () => {
    const crowd = await Crowd.gather();
    const peer = await RawPeer.connect(crowd.port);
    peer.sendPacket({ id: 'h', pattern: 'pooled-tcp:hello', data: { versions: [1], maxFrameBytes: 1_000_000 } });
    await peer.receive(1);
    // Of type 200.
    peer.send(Buffer.from([0, 0, 0, 2, 200, 0]));
    await peer.closed;
    expect(peer.text).toContain('PTCP_PROTOCOL_VIOLATION');
    await crowd.disperse();
  });

  it('that uses a call id twice at once is told why and closed', async () => {
    const crowd = await Crowd.gather();
    const peer = await RawPeer.connect(crowd.port);
    peer.sendPacket({ id: '1', pattern: 'hold', data: 1 });
    peer.sendPacket({ id: '1', pattern: 'hold', data: 2 });
    await peer.closed;
    expect(peer.text).toContain('PTCP_PROTOCOL_VIOLATION');
    held.length = 0;
    await crowd.disperse();
  });

  it('that vanishes in mid-frame and in mid-call leaves nothing behind', async () => {
    const crowd = await Crowd.gather();
    const peers = await Promise.all(Array.from({ length: 20 }, () => RawPeer.connect(crowd.port)));
    for (const peer of peers) {
      peer.sendPacket({ id: '1', pattern: 'hold', data: 1 });
      peer.send('500#{"id":"2","patt');
    }
    await until(() => held.length === 20);
    for (const { socket } of peers) socket.resetAndDestroy();
    await until(() => crowd.server.strategy.stats().connections === 1);
    for (const letGo of held.splice(0)) letGo();
    await crowd.disperse();
    expect(crowd.server.strategy.stats()).toMatchObject({ connections: 1, inFlight: 0 });
  });

  it('that says nothing is closed after firstFrameTimeoutMs, one that dribbles, too', async () => {
    const crowd = await Crowd.gather({ firstFrameTimeoutMs: 100 });
    const mute = await RawPeer.connect(crowd.port);
    const slow = await RawPeer.connect(crowd.port);
    slow.send('50#{"id":');
    await Promise.all([mute.closed, slow.closed]);
    await crowd.disperse();
  });

  it('that does not read is closed once too much waits for it, and only it', async () => {
    const crowd = await Crowd.gather({ maxPendingWriteBytes: 256 * 1024 });
    const peer = await RawPeer.connect(crowd.port);
    peer.socket.pause();
    const gone = once([...crowd.connections.sockets].at(-1) ?? peer.socket, 'close');
    for (let i = 0; i < 100; i++) peer.sendPacket({ id: String(i), pattern: 'large', data: 256 * 1024 });
    await gone;
    peer.socket.destroy();
    await crowd.disperse();
    expect(crowd.server.strategy.stats()).toMatchObject({ connections: 1, inFlight: 0 });
  });

  it('and the stock client, each on a connection too many, are told why', async () => {
    const crowd = await Crowd.gather({ maxConnections: 1 });
    const peer = await RawPeer.connect(crowd.port);
    peer.sendPacket({ id: '1', pattern: 'echo', data: 1 });
    await expect(peer.receive(1)).resolves.toMatchObject([{ err: { code: 'PTCP_SERVER_OVERLOADED' } }]);
    await peer.closed;
    await expect(firstValueFrom(scope.stockClient(crowd.port).send('echo', 1))).rejects.toMatchObject({
      status: 'error',
      code: 'PTCP_SERVER_OVERLOADED',
    });
    await crowd.disperse();
  });

  it('on the stock wire is refused by a server that takes native() only, and runs nothing', async () => {
    const crowd = await Crowd.gather({ protocol: native() });
    const peer = await RawPeer.connect(crowd.port);
    peer.sendPacket({ id: '1', pattern: 'hold', data: 1 });
    await expect(peer.receive(1)).resolves.toMatchObject([{ err: { code: 'PTCP_PROTOCOL_MISMATCH' } }]);
    await peer.closed;
    expect(held).toHaveLength(0);
    const client = scope.client(crowd.port, { protocol: nestJson(), pool: { prewarmTimeoutMs: 300 } });
    await expect(failureOf(client.connect())).resolves.toMatchObject({ cause: { code: 'PTCP_PROTOCOL_MISMATCH' } });
    await crowd.disperse();
  });
});

function nested(depth: number): unknown {
  let pattern: unknown = 'end';
  for (let i = 0; i < depth; i++) pattern = { pattern };
  return pattern;
}
