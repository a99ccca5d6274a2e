import { describe, expect, it } from '@jest/globals';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import type { PooledTcpClient } from '../../lib/index.js';
import { native, nestJson } from '../../lib/index.js';
import { Scope } from '../support/nest-app.js';
import { RepliesController } from '../support/replies-controller.js';
import { startScriptedServer } from '../support/scripted-server.js';
import { ConnectionCount, nestFrame, RawPeer, until } from '../support/sockets.js';
import { StockFrames, type StockPacket } from '../support/stock-frames.js';

const scope = new Scope();
const ONE = { min: 1, max: 1 };
/** One each 50 ms, and patience. */
const BEATING = { intervalMs: 1, timeoutMs: 50, attempts: 100 };

/** Requests whose answers are one packet each; the events among them have none. */
const REQUESTS: readonly StockPacket[] = [
  { pattern: 'sum', data: [1, 2], id: 'first' },
  { pattern: 'echo', data: null, id: 'null' },
  { pattern: 'echo', data: 0, id: '0' },
  { pattern: 'echo', data: '', id: '' },
  { pattern: 'echo', data: false, id: 'false' },
  { pattern: 'nothing', data: {}, id: 'nothing' },
  { pattern: 'empty', data: {}, id: 'empty' },
  { pattern: 'no-items', data: {}, id: 'no items' },
  { pattern: 'later', data: { a: 1 }, id: 'later' },
  { pattern: 'echo', data: 'grüße 你好 👋 \u{10ffff}\u2028"\\', id: 'grüße 👋' },
  { pattern: { cmd: 'object', nested: { b: 1, a: 'x' } }, data: {}, id: 'object' },
  { pattern: 42, data: {}, id: 'number' },
  { pattern: 'rpc-text', data: {}, id: 'text' },
  { pattern: 'rpc-object', data: {}, id: 'error object' },
  { pattern: 'plain-error', data: {}, id: 'error' },
  { pattern: 'filtered', data: {}, id: 'filtered' },
  { pattern: 'guarded', data: { owner: false }, id: 'guarded' },
  { pattern: 'nobody', data: {}, id: 'nobody' },
  { pattern: 'nobody', data: {} },
  { pattern: 'created', data: {}, metadata: { trace: '1' } },
  { pattern: 'sum', data: [3, 4], id: 'last', metadata: { trace: '2' } },
];

/** What a server writes to a stock peer that makes these requests, one after the other. */
async function answers(port: number, requests: readonly StockPacket[]): Promise<StockFrames> {
  const peer = await RawPeer.connect(port);
  scope.defer(() => peer.socket.destroy());
  const frames = new StockFrames();
  peer.socket.on('data', (chunk: Buffer) => {
    frames.push(chunk);
  });
  for (const request of requests) {
    const known = frames.frames.length;
    peer.sendPacket(request);
    if (request.id !== undefined) await until(() => frames.frames.length > known);
  }
  return frames;
}

/** The same frames with another's ids: each client makes its own. */
function withoutIds({ frames }: StockFrames): string[] {
  return frames.map((frame) => frame.replace(/"id":"[^"]*"/, '"id":"…"'));
}

describe('a stock client of our server', () => {
  it('reads, byte for byte, what a stock server would have answered', async () => {
    const stock = await scope.stockServer([RepliesController]);
    const ours = await scope.server([RepliesController]);
    const expected = await answers(stock.port, REQUESTS);
    const actual = await answers(ours.port, REQUESTS);
    expect(actual.frames).toEqual(expected.frames);
    expect(actual.text).toBe(expected.text);
  });

  it.each<[string, StockPacket]>([
    ['a stream', { pattern: 'count', data: 3, id: 'x' }],
    ['a stream that fails', { pattern: 'error-after-items', data: {}, id: 'x' }],
  ])('reads %s as from a stock server', async (_what, request) => {
    const end = { pattern: 'sum', data: [1], id: 'end' };
    const [stock, ours] = [await scope.stockServer([RepliesController]), await scope.server([RepliesController])];
    const expected = await answers(stock.port, [request, end]);
    const actual = await answers(ours.port, [request, end]);
    expect(actual.text).toBe(expected.text);
  });

  it('reads nothing that it did not ask for: no heartbeat, and no farewell when the server drains', async () => {
    const server = await scope.server([RepliesController], { heartbeat: BEATING });
    const { port } = server;
    const connections = new ConnectionCount(server.netServer);
    const peer = await RawPeer.connect(port);
    peer.sendPacket({ pattern: 'sum', data: [1, 2], id: 'only' });
    await peer.receive(1);
    const before = new Set(connections.sockets);
    // Asks for nothing: what the server writes to it after the welcome are heartbeats.
    await scope.client(port, { protocol: native(), heartbeat: false, pool: ONE }).connect();
    const beaten = [...connections.sockets].find((socket) => !before.has(socket));
    const welcome = beaten?.bytesWritten ?? Infinity;
    await until(() => (beaten?.bytesWritten ?? 0) > welcome + 16);
    await server.close();
    await peer.closed;
    expect(peer.text).toBe(nestFrame({ response: 3, isDisposed: true, id: 'only' }));
  });
});

describe('a stock server of our client', () => {
  /** The calls that a client of either kind makes. */
  async function calls(client: Pick<PooledTcpClient, 'send' | 'emit'>): Promise<void> {
    for (const [pattern, data] of [
      ['sum', [1, 2]],
      ['echo', 'grüße 👋'],
      [{ cmd: 'object', b: 1, a: { d: 1, c: 2 } }, {}],
      [42, { a: 0 }],
    ] as const) {
      await firstValueFrom(client.send(pattern, data));
    }
    for (const [pattern, data] of [
      ['created', { id: 7 }],
      [{ event: 'shipped', by: 'sea' }, '👋'],
      [7, 0],
    ] as const) {
      await lastValueFrom(client.emit(pattern, data), { defaultValue: undefined });
    }
    // What was emitted has arrived once this is answered: it is one connection.
    await firstValueFrom(client.send('last', 1));
  }

  async function recorded() {
    const server = await startScriptedServer(({ id }, peer) => {
      if (id !== undefined) peer.sendPacket({ response: 'ok', isDisposed: true, id });
    });
    scope.defer(() => server.close());
    const first = (): StockFrames => server.received[0] ?? new StockFrames();
    return { port: server.port, first, server };
  }

  it('reads the same requests and events, byte for byte but for their ids, as from a stock client', async () => {
    const stock = await recorded();
    await calls(scope.stockClient(stock.port));
    for (const protocol of ['auto', nestJson()] as const) {
      const ours = await recorded();
      await calls(scope.client(ours.port, { protocol, pool: ONE }));
      const isCall = (frame: string): boolean => !frame.includes('"pattern":"pooled-tcp:');
      expect(withoutIds(ours.first()).filter(isCall)).toEqual(withoutIds(stock.first()));
      expect(ours.first().isBetweenFrames).toBe(true);
    }
  });

  it('reads first, and before anything else, a hello that is an ordinary stock request', async () => {
    const { port, first } = await recorded();
    await calls(scope.client(port, { pool: ONE }));
    const hello = first().frames[0];
    expect(JSON.parse(hello ?? '')).toEqual({
      pattern: 'pooled-tcp:hello',
      data: { versions: [1], maxFrameBytes: expect.any(Number), streamWindowBytes: expect.any(Number) },
      id: 'pooled-tcp:hello',
    });
    expect(first().text.startsWith(`${hello?.length ?? 0}#${hello ?? ''}`)).toBe(true);
    expect(first().packets.filter(({ pattern }) => pattern === 'pooled-tcp:hello')).toHaveLength(1);
  });

  it('reads no hello from nestJson(), and nothing but whole stock requests from either, heartbeats among them', async () => {
    const { port, server } = await recorded();
    for (const protocol of ['auto', nestJson()] as const) {
      const client = scope.client(port, { protocol, heartbeat: BEATING, pool: { min: 2, max: 2 } });
      await client.connect();
      const beats = (): number =>
        server.received.flatMap(({ packets }) => packets).filter(({ pattern }) => pattern === 'pooled-tcp:heartbeat')
          .length;
      const before = beats();
      await until(() => beats() >= before + 4);
      await client.close();
    }
    const [, , ...withoutHello] = server.received;
    expect(server.received).toHaveLength(4);
    expect(withoutHello.flatMap(({ packets }) => packets).map(({ pattern }) => pattern)).not.toContain(
      'pooled-tcp:hello',
    );
    for (const frames of server.received) {
      expect(frames.isBetweenFrames).toBe(true);
      for (const { id, pattern } of frames.packets) expect([typeof id, typeof pattern]).toEqual(['string', 'string']);
    }
  });

  it('never sees a handler run, or a line logged, for our hello or a heartbeat', async () => {
    const stock = await scope.stockServer([RepliesController]);
    const client = scope.client(stock.port, { pool: ONE, heartbeat: BEATING });
    const connections = new ConnectionCount(stock.netServer);
    const lines: unknown[] = [];
    const netErrors: unknown[] = [];
    stock.app.useLogger({
      log: (line: unknown) => lines.push(line),
      error: (line: unknown) => lines.push(line),
      warn: (line: unknown) => lines.push(line),
    });
    stock.netServer.on('error', (error) => netErrors.push(error));
    await client.connect();
    const [socket] = connections.sockets;
    const hello = socket?.bytesRead ?? Infinity;
    await until(() => (socket?.bytesRead ?? 0) > hello + 100);
    await expect(client.request('sum', [1, 2])).resolves.toBe(3);
    expect({ lines, netErrors }).toEqual({ lines: [], netErrors: [] });
  });
});
