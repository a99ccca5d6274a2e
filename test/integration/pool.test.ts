import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { native, nestJson, type PooledTcpClient } from '../../lib/index.js';
import { CallLedger, NO_DEFECTS } from '../support/call-ledger.js';
import { holdController } from '../support/hold-controller.js';
import { Scope } from '../support/nest-app.js';
import { ConnectionCount, freePort, startRawServer, until } from '../support/sockets.js';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('echo-later')
  async echoLater(@Payload() data: unknown): Promise<unknown> {
    await nextTurn();
    return data;
  }
}

const scope = new Scope();

/** Distinct texts of one size: an answer that crossed over to another call would show. */
function texts(count: number, size: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i}:`.padEnd(size, String.fromCharCode(97 + (i % 26))));
}

async function echoAll(client: PooledTcpClient, sent: readonly string[]): Promise<boolean> {
  const answers = await Promise.all(sent.map((text) => client.request<string>('echo', text, { timeoutMs: 20_000 })));
  return answers.every((answer, i) => answer === sent[i]);
}

describe.each([native(), nestJson()])('the size of the pool, $protocol', (protocol) => {
  it('is min before the first call, and never more than max', async () => {
    const { netServer, port } = await scope.server([EchoController]);
    const count = new ConnectionCount(netServer);
    const client = scope.client(port, { protocol, pool: { min: 3, max: 6 } });
    await client.connect();
    expect(count).toMatchObject({ open: 3, total: 3 });
    expect(client.stats()).toMatchObject({ total: 3, idle: 3, active: 0, connecting: 0, inFlight: 0 });

    const calls = Array.from({ length: 1_000 }, (_, i) => client.request('echo-later', i));
    expect(client.stats().inFlight).toBe(1_000);
    await expect(Promise.all(calls)).resolves.toEqual(Array.from({ length: 1_000 }, (_, i) => i));
    await until(() => client.stats().connecting === 0);
    expect(count.most).toBeGreaterThan(3);
    expect(count.most).toBeLessThanOrEqual(6);
    expect(client.stats()).toMatchObject({ inFlight: 0, active: 0, waiting: 0, requests: 1_000, failures: 0 });
  });

  it('stays within max when nothing was warmed and everybody calls at once', async () => {
    const { netServer, port } = await scope.server([EchoController]);
    const count = new ConnectionCount(netServer);
    const client = scope.client(port, { protocol, pool: { min: 0, max: 4 } });
    const calls = Array.from({ length: 1_000 }, (_, i) => client.request('echo-later', i));
    await expect(Promise.all(calls)).resolves.toHaveLength(1_000);
    expect(count.most).toBeLessThanOrEqual(4);
  });

  it('is max in mode exclusive, where each call has a connection for itself', async () => {
    const { netServer, port } = await scope.server([EchoController]);
    const count = new ConnectionCount(netServer);
    const client = scope.client(port, { protocol, pool: { min: 1, max: 3, mode: 'exclusive' } });
    const calls = Array.from({ length: 100 }, (_, i) => client.request('echo-later', i));
    await expect(Promise.all(calls)).resolves.toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(count).toMatchObject({ most: 3, total: 3 });
  });

  it('is none after each call in mode short', async () => {
    const { netServer, port } = await scope.server([EchoController]);
    const count = new ConnectionCount(netServer);
    const client = scope.client(port, { protocol, pool: { max: 3, mode: 'short' } });
    const calls = Array.from({ length: 20 }, (_, i) => client.request('echo-later', i));
    await expect(Promise.all(calls)).resolves.toHaveLength(20);
    await until(() => count.open === 0);
    expect(count.total).toBe(20);
    expect(count.most).toBeLessThanOrEqual(4);
  });

  it('is back at min after connections were lost', async () => {
    const { netServer, port } = await scope.server([EchoController]);
    const count = new ConnectionCount(netServer);
    const client = scope.client(port, { protocol, pool: { min: 3, max: 3 }, backoff: { initialMs: 1 } });
    await client.connect();
    for (const socket of count.sockets) socket.destroy();
    await until(() => count.total === 6 && client.stats().total === 3);
    await expect(client.request('echo', 1)).resolves.toBe(1);
    expect(client.stats().endpoints[0]?.closed.lost).toBe(3);
  });
});

describe('one connection', () => {
  it.each(
    [native(), nestJson()].flatMap((protocol) => [
      { protocol, name: protocol.protocol, count: 1_000, bytes: 16 * 1024 },
      { protocol, name: protocol.protocol, count: 5_000, bytes: 4 * 1024 },
      { protocol, name: protocol.protocol, count: 10, bytes: 1024 * 1024 },
    ]),
  )('answers $count echoes of $bytes bytes at once, $name', async ({ protocol, count, bytes }) => {
    const { netServer, port } = await scope.server([EchoController]);
    const connections = new ConnectionCount(netServer);
    const client = scope.client(port, { protocol, pool: { min: 1, max: 1 } });
    await client.connect();
    await expect(echoAll(client, texts(count, bytes))).resolves.toBe(true);
    expect(connections).toMatchObject({ total: 1, open: 1 });
  });

  /** Whether neither end reads, both wait to write, and nothing moves any more. */
  async function isDeadlocked(ends: readonly Socket[]): Promise<boolean> {
    const read = ends.map((socket) => socket.bytesRead);
    for (let turn = 0; turn < 200; turn++) {
      await nextTurn();
      if (!ends.every((socket) => socket.isPaused() && socket.writableNeedDrain)) return false;
    }
    return ends.every((socket, i) => socket.bytesRead === read[i]);
  }

  it('of the stock pair locks up under 1000 echoes of 16 KiB: why reading here never depends on writing', async () => {
    const { netServer, port } = await scope.stockServer([EchoController]);
    const client = scope.stockClient(port);
    const accepted = once(netServer, 'connection') as Promise<[Socket]>;
    await client.connect();
    const [serverEnd] = await accepted;
    const clientEnd = client.unwrap<Socket>();
    let answered = 0;
    for (const text of texts(1_000, 16 * 1024)) {
      client.send<string>('echo', text).subscribe({
        next: () => {
          answered += 1;
        },
        error: () => undefined,
      });
    }
    while (answered < 1_000 && !(await isDeadlocked([clientEnd, serverEnd]))) await nextTurn();
    expect(answered).toBeLessThan(1_000);
    clientEnd.destroy();
    serverEnd.destroy();
  });
});

it('validateAfterIdleMs: 0 asks for a sign of life before each use, and then the connection is used', async () => {
  const { port } = await scope.server([EchoController]);
  const client = scope.client(port, { pool: { min: 1, max: 1, mode: 'exclusive', validateAfterIdleMs: 0 } });
  await client.connect();
  for (let i = 0; i < 5; i++) await expect(client.request('echo', i)).resolves.toBe(i);
  await expect(Promise.all([1, 2, 3].map((i) => client.request('echo', i)))).resolves.toEqual([1, 2, 3]);
});

it('more callers than may wait are refused at once, unsent, and the others are served', async () => {
  const { port } = await scope.server([EchoController]);
  const client = scope.client(port, { pool: { min: 0, max: 1, maxWaiters: 10 } });
  const calls = Array.from({ length: 15 }, (_, i) => client.request('echo', i));
  const outcomes = await Promise.allSettled(calls);
  expect(outcomes.slice(0, 10).map(({ status }) => status)).toEqual(Array(10).fill('fulfilled'));
  for (const outcome of outcomes.slice(10)) {
    expect(outcome).toMatchObject({ reason: { code: 'PTCP_POOL_EXHAUSTED', sent: false } });
  }
});

it('calls in flight and waiters are bounded for each endpoint: beyond that a call fails at once, unsent, and the others go on', async () => {
  const ledger = new CallLedger();
  const holding = holdController(ledger);
  const bounds = { min: 2, max: 2, maxInFlight: 4, maxWaiters: 3 };
  const [slow, quick] = [await scope.server([holding.controller]), await scope.server([EchoController])];
  const client = scope.client(slow.port, { pool: bounds });
  const other = scope.client(quick.port, { pool: bounds });
  await client.connect();
  const hold = (): Promise<unknown> => ledger.request(client, { pattern: 'hold', timeoutMs: 60_000 });
  const held = Array.from({ length: 8 }, hold);
  await until(() => holding.log.held.size === 8);
  held.push(...Array.from({ length: 3 }, hold));
  expect(client.stats()).toMatchObject({ inFlight: 8, waiting: 3 });

  const refused = await client.request('hold', { tag: 'refused' }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'PTCP_POOL_EXHAUSTED', sent: false });
  await expect(other.request('echo', 1)).resolves.toBe(1);
  expect(holding.log.held.size).toBe(8);
  client.destroy();
  await Promise.all(held);
  expect(ledger.report()).toMatchObject({ ...NO_DEFECTS, handled: 8, failedSent: 8, failedUnsent: 3 });
});

describe('several endpoints', () => {
  it('a dead one holds nobody up, also when nothing was warmed', async () => {
    const { port } = await scope.server([EchoController]);
    const dead = await freePort();
    for (let i = 0; i < 4; i++) {
      const client = scope.client(undefined, {
        endpoints: [`127.0.0.1:${dead}`, `127.0.0.1:${port}`],
        pool: { acquireTimeoutMs: 1_000 },
      });
      await expect(client.request('echo', i)).resolves.toBe(i);
    }
  });

  it('a silent one holds nobody up, also when nothing was warmed', async () => {
    const { port } = await scope.server([EchoController]);
    const silent = await startRawServer();
    scope.defer(() => silent.close());
    for (let i = 0; i < 4; i++) {
      const client = scope.client(undefined, {
        endpoints: [`127.0.0.1:${silent.port}`, `127.0.0.1:${port}`],
        pool: { acquireTimeoutMs: 1_000 },
      });
      await expect(client.request('echo', i)).resolves.toBe(i);
    }
  });

  it('share the calls', async () => {
    const servers = [await scope.server([EchoController]), await scope.server([EchoController])];
    const client = scope.client(undefined, { endpoints: servers.map(({ port }) => `127.0.0.1:${port}`) });
    await client.connect();
    await Promise.all(Array.from({ length: 100 }, (_, i) => client.request('echo-later', i)));
    expect(client.stats().endpoints.map(({ acquired }) => acquired)).toEqual([50, 50]);
  });

  it('are all used, also when nothing was warmed', async () => {
    const servers = [await scope.server([EchoController]), await scope.server([EchoController])];
    const client = scope.client(undefined, { endpoints: servers.map(({ port }) => `127.0.0.1:${port}`) });
    await client.request('echo', 0);
    await until(() => client.stats().endpoints.every(({ total }) => total === 2));
    expect(servers.map(({ strategy }) => strategy.stats().connections)).toEqual([2, 2]);
  });
});

it('calls go on over a server’s restart on the same port', async () => {
  const first = await scope.server([EchoController]);
  const client = scope.client(first.port, { backoff: { initialMs: 5, maxMs: 20 } });
  await client.connect();
  await first.close();
  await until(() => client.stats().total === 0);
  const waiting = client.request('echo', 'across the restart');
  await scope.server([EchoController], { port: first.port });
  await expect(waiting).resolves.toBe('across the restart');
});
