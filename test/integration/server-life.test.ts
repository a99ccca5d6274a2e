import { beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { firstValueFrom } from 'rxjs';
import { native, nestJson, PooledTcpServer, type PooledTcpServerOptions } from '../../lib/index.js';
import { moduleOf, Scope } from '../support/nest-app.js';
import { RawPeer, until } from '../support/sockets.js';

const ROOT = join(import.meta.dirname, '../..');
const scope = new Scope();
/** Calls of `hold` that wait to be let go. */
const held: (() => void)[] = [];
let calls = 0;

@Controller()
class LifeController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    calls += 1;
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
}

/** What listen() called back with, each time it did: until the server has been closed, too. */
async function listenAnswers(strategy: PooledTcpServer): Promise<unknown[]> {
  const answers: unknown[] = [];
  await new Promise<void>((resolve) => {
    strategy.listen((error) => {
      answers.push(error);
      resolve();
    });
  });
  await strategy.close();
  return answers;
}

describe('listen() and close()', () => {
  it('a port in use rejects once, with a code and the system’s error', async () => {
    const { port } = await scope.server([LifeController]);
    const answers = listenAnswers(new PooledTcpServer({ host: '127.0.0.1', port }));
    await expect(answers).resolves.toMatchObject([{ code: 'PTCP_LISTEN_FAILED', cause: { code: 'EADDRINUSE' } }]);
    const app = await NestFactory.createMicroservice(moduleOf([LifeController]), {
      strategy: new PooledTcpServer({ host: '127.0.0.1', port }),
      logger: false,
    });
    await expect(app.listen()).rejects.toMatchObject({ code: 'PTCP_LISTEN_FAILED' });
    await app.close();
  });

  it('an address that is not this machine’s rejects', async () => {
    await expect(scope.server([LifeController], { host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'PTCP_LISTEN_FAILED',
      cause: { code: 'EADDRNOTAVAIL' },
    });
  });

  it.each<[string, PooledTcpServerOptions, unknown]>([
    [
      'a name that no resolver knows',
      { host: 'no.such.host.invalid', port: 0 },
      expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/),
    ],
    ['a folder that is not there', { path: '/no/such/folder/orders.sock' }, 'EACCES'],
  ])('%s rejects', async (_what, place, code) => {
    const answers = listenAnswers(new PooledTcpServer(place));
    await expect(answers).resolves.toMatchObject([{ code: 'PTCP_LISTEN_FAILED', cause: { code } }]);
  });

  it.each(['127.0.0.1', 'localhost', 'no.such.host.invalid'])(
    'close() before %s is listened on rejects listen(), once, and leaves nothing listening',
    async (host) => {
      const strategy = new PooledTcpServer({ host, port: 0 });
      const answers = listenAnswers(strategy);
      await strategy.close();
      await expect(answers).resolves.toEqual([
        expect.objectContaining({ code: 'PTCP_LISTEN_FAILED', message: expect.stringContaining('closed meanwhile') }),
      ]);
      expect(strategy.unwrap().listening).toBe(false);
      expect(strategy.stats().state).toBe('closed');
    },
  );

  it('listen() while it drains rejects, and the drain goes on to its end', async () => {
    const { strategy, port } = await scope.server([LifeController]);
    const call = scope.client(port, { retry: false }).request('hold', 'kept');
    await until(() => held.length === 1);
    const closing = strategy.close();
    const answers = listenAnswers(strategy);
    held.pop()?.();
    await expect(call).resolves.toBe('kept');
    await closing;
    await expect(answers).resolves.toMatchObject([{ code: 'PTCP_LISTEN_FAILED' }]);
    expect(strategy.stats().state).toBe('closed');
  });

  it('a server that failed to listen can listen later', async () => {
    const first = await scope.server([LifeController]);
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: first.port });
    scope.defer(() => strategy.close());
    const listen = (): Promise<unknown> =>
      new Promise((resolve) => {
        strategy.listen(resolve);
      });
    await expect(listen()).resolves.toMatchObject({ code: 'PTCP_LISTEN_FAILED' });
    await first.close();
    await expect(listen()).resolves.toBeUndefined();
    await expect(listen()).resolves.toMatchObject({ code: 'PTCP_LISTEN_FAILED' });
  });

  it('close() twice joins, and closing what never listened is harmless', async () => {
    const { strategy, app } = await scope.server([LifeController]);
    await Promise.all([strategy.close(), strategy.close()]);
    await strategy.close();
    await app.close();
    await new PooledTcpServer({ port: 0 }).close();
  });

  it('listens again after close()', async () => {
    const { strategy, port } = await scope.server([LifeController]);
    await strategy.close();
    await expect(RawPeer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await new Promise((resolve) => {
      strategy.listen(resolve);
    });
    const { port: again } = strategy.unwrap().address() as { port: number };
    await expect(scope.client(again).request('echo', 1)).resolves.toBe(1);
    expect(strategy.stats()).toMatchObject({ address: `127.0.0.1:${again}`, accepted: 2 });
  });

  it('status, on() and unwrap() show the listening socket', async () => {
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
    const seen: string[] = [];
    strategy.status.subscribe((status) => seen.push(status));
    strategy.on('listening', () => seen.push('listening'));
    strategy.on('connection', () => seen.push('connection'));
    strategy.on('close', () => seen.push('close'));
    await new Promise((resolve) => {
      strategy.listen(resolve);
    });
    const netServer = strategy.unwrap();
    expect(netServer.listening).toBe(true);
    const peer = await RawPeer.connect((netServer.address() as { port: number }).port);
    await until(() => seen.includes('connection'));
    peer.socket.destroy();
    await strategy.close();
    expect(seen.filter((event) => event !== 'disconnected')).toEqual(['listening', 'connected', 'connection', 'close']);
    expect(seen.at(-1)).toMatch(/close|disconnected/);
    expect(seen).toContain('disconnected');
  });

  it('a hybrid application serves it beside HTTP', async () => {
    @Module({ controllers: [LifeController] })
    class HybridModule {}
    const app = await NestFactory.create(HybridModule, { logger: false });
    scope.defer(() => app.close());
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
    app.connectMicroservice({ strategy });
    await app.startAllMicroservices();
    await app.listen(0, '127.0.0.1');
    const { port } = strategy.unwrap().address() as { port: number };
    const client = scope.client(port);
    await expect(client.request('echo', 'hybrid')).resolves.toBe('hybrid');
    client.destroy();
    await app.close();
    await expect(RawPeer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('draining', () => {
  it.each([native(), nestJson()])(
    'calls in flight finish, new ones are refused unsent, $protocol',
    async (protocol) => {
      const { app, port } = await scope.server([LifeController]);
      const pool = { min: 1, max: 1, acquireTimeoutMs: 100 };
      const client = scope.client(port, { protocol, pool });
      const first = client.request('hold', 'first');
      const second = client.request('hold', 'second');
      await until(() => held.length === 2);
      const before = calls;
      const closing = app.close();
      const refused = await client.request('echo', 'late').catch((error: unknown) => error);
      expect(refused).toMatchObject({ sent: false });
      expect(calls).toBe(before);
      for (const letGo of held.splice(0)) letGo();
      await expect(Promise.all([first, second])).resolves.toEqual(['first', 'second']);
      await closing;
    },
  );

  it('a new call goes to another endpoint meanwhile', async () => {
    const one = await scope.server([LifeController]);
    const two = await scope.server([LifeController]);
    const client = scope.client(undefined, { endpoints: [one, two].map(({ port }) => `127.0.0.1:${port}`) });
    await client.connect();
    const calls = Array.from({ length: 4 }, (_, i) => client.request('hold', i));
    await until(() => held.length === 4);
    const closing = one.app.close();
    await expect(Promise.all(Array.from({ length: 100 }, (_, i) => client.request('echo', i)))).resolves.toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
    for (const letGo of held.splice(0)) letGo();
    await expect(Promise.all(calls)).resolves.toEqual([0, 1, 2, 3]);
    await closing;
  });

  it('a stock client’s call in flight finishes, and its connection ends', async () => {
    const { app, port } = await scope.server([LifeController]);
    const client = scope.stockClient(port);
    const call = firstValueFrom(client.send('hold', 'stock'));
    await until(() => held.length === 1);
    const closing = app.close();
    held.pop()?.();
    await expect(call).resolves.toBe('stock');
    await closing;
  });

  it('idle connections of any kind do not hold it up', async () => {
    const { app, port } = await scope.server([LifeController], { drainTimeoutMs: 60_000 });
    const ours = scope.client(port, { backoff: { initialMs: 10_000 } });
    const stockWire = scope.client(port, { protocol: nestJson(), backoff: { initialMs: 10_000 } });
    const stock = scope.stockClient(port);
    const mute = await RawPeer.connect(port);
    await Promise.all([ours.connect(), stockWire.connect(), stock.connect()]);
    await firstValueFrom(stock.send('echo', 1));
    await app.close();
    await mute.closed;
  });

  it('what does not finish is cut off after drainTimeoutMs', async () => {
    const { app, port, strategy } = await scope.server([LifeController], { drainTimeoutMs: 30 });
    const client = scope.client(port);
    const call = client.request('hold', 0).catch((error: unknown) => error);
    const stuck = await RawPeer.connect(port);
    stuck.sendPacket({ id: '1', pattern: 'hold', data: 1 });
    await until(() => held.length === 2);
    await app.close();
    await stuck.closed;
    await expect(call).resolves.toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
    expect(strategy.stats()).toMatchObject({ connections: 0, inFlight: 0 });
    for (const letGo of held.splice(0)) letGo();
  });

  it('nothing that arrives after the end of a stock connection reaches a handler', async () => {
    const { app, port } = await scope.server([LifeController], { drainTimeoutMs: 50 });
    const peer = await RawPeer.connect(port);
    // Does not end its side when the server does.
    peer.socket.allowHalfOpen = true;
    peer.sendPacket({ id: '1', pattern: 'echo', data: 1 });
    await peer.receive(1);
    const before = calls;
    const ended = once(peer.socket, 'end');
    const closing = app.close();
    await ended;
    peer.sendPacket({ id: '2', pattern: 'echo', data: 2 });
    await closing;
    peer.socket.destroy();
    expect(calls).toBe(before);
  });
});

describe('a signal', () => {
  beforeAll(async () => {
    await promisify(execFile)('npm', ['run', '--silent', 'build:tools'], { cwd: ROOT });
  }, 120_000);

  it('SIGTERM drains: the call in flight finishes, although its handler needs the pool for it', async () => {
    const upstream = await scope.server([LifeController]);
    const child = fork(join(ROOT, '.demo/test/support/apps/drain-service.js'), [String(upstream.port)]);
    scope.defer(() => child.kill('SIGKILL'));
    const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    const client = scope.client(port, { backoff: { initialMs: 10_000 } });
    const call = client.request('relay', 'kept');
    await until(() => held.length === 1);

    const told = once(child, 'message');
    child.kill('SIGTERM');
    await expect(told).resolves.toMatchObject([{ shuttingDown: 'SIGTERM' }]);
    await until(() => client.stats().endpoints[0]?.closed.retired !== 0 || client.stats().total < 2);
    held.pop()?.();
    await expect(call).resolves.toEqual({ relayed: 'kept' });
    await expect(exit).resolves.toEqual([null, 'SIGTERM']);
    await expect(RawPeer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  }, 20_000);
});
