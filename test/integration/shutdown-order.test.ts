import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern } from '@nestjs/microservices';
import { TerminusModule } from '@nestjs/terminus';
import { PooledTcpClient, PooledTcpModule, PooledTcpServer } from '../../lib/index.js';
import { PooledTcpHealthIndicator } from '../../lib/terminus/index.js';
import { AppProcess } from '../support/app-process.js';
import type { ShutdownKind } from '../support/apps/shutdown-service.js';
import { Scope } from '../support/nest-app.js';
import { RawPeer, until } from '../support/sockets.js';

const scope = new Scope();
const CALLS = 8;
let service: AppProcess<{ port: number }> | undefined;
afterEach(async () => {
  await service?.kill();
  service = undefined;
});

/** A service of the kind, with calls in flight, and what it writes down. */
async function busyService(kind: ShutdownKind) {
  const lines: string[] = [];
  const running = await AppProcess.start<{ port: number }>({
    app: 'shutdown-service',
    args: [kind],
    onLine: (line) => {
      lines.push(line);
    },
  });
  service = running;
  const { port } = running.ready;
  // Nothing is repeated: a call that is answered was answered by the handler that had it.
  const client = scope.client(port, { retry: false, backoff: { initialMs: 10_000 } });
  await client.connect();
  const calls = Array.from({ length: CALLS }, (_, i) => client.request('orders', { tag: String(i) }));
  const settled = Promise.allSettled(calls);
  await until(() => lines.filter((line) => line.startsWith('began')).length === CALLS);
  return { running, port, client, lines, settled };
}

const answers = Array.from({ length: CALLS }, (_, i) => ({
  status: 'fulfilled',
  value: { tag: String(i), rows: 'rows' },
}));

describe('handlers finish while their database is open', () => {
  it.each([
    ['strategy', 'app.close()'],
    ['provider', 'app.close()'],
    ['factory', 'app.close()'],
    ['hybrid', 'app.close()'],
    ['provider', 'SIGTERM'],
    ['factory', 'SIGTERM'],
    ['hybrid', 'SIGTERM'],
  ] as const)(
    'the server as %s, on %s',
    async (kind, how) => {
      const { running, port, lines, settled } = await busyService(kind);
      if (how === 'SIGTERM') running.signal('SIGTERM');
      else running.tell({ close: true });
      // First of all it takes no more; and what is in flight goes on for as long as it needs.
      const stateNow = async (): Promise<string> => (await running.ask<{ state: string }>({ health: true })).state;
      let state = await stateNow();
      while (state === 'listening') state = await stateNow();
      expect(state).toBe('draining');
      await expect(RawPeer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      expect(lines).not.toContain('database closed');
      running.tell({ answer: true });
      await expect(settled).resolves.toEqual(answers);
      await running.exited;
      const closedAt = lines.indexOf('database closed');
      expect(closedAt).toBeGreaterThan(0);
      expect(lines.slice(closedAt).filter((line) => line.startsWith('answered'))).toEqual([]);
      expect(lines.filter((line) => line === 'database closed')).toHaveLength(1);
    },
    30_000,
  );
});

describe('health', () => {
  it('says that a server takes no calls before its handlers have finished, and a pool before it drains', async () => {
    const upstream = await scope.server([]);
    const server = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
    const held: (() => void)[] = [];
    const order: string[] = [];

    @Controller()
    class HoldController {
      @MessagePattern('hold')
      hold(): Promise<string> {
        return new Promise((resolve) => {
          held.push(() => {
            resolve('finished');
          });
        });
      }
    }

    @Injectable()
    class Database {
      onModuleDestroy(): void {
        order.push('database closed');
      }
    }

    @Module({ providers: [Database] })
    class DatabaseModule {}

    @Module({
      imports: [
        DatabaseModule,
        TerminusModule.forRoot({ logger: false }),
        PooledTcpModule.forRoot({ name: 'upstream', host: '127.0.0.1', port: upstream.port }),
      ],
      controllers: [HoldController],
      providers: [PooledTcpHealthIndicator, { provide: PooledTcpServer, useValue: server }],
    })
    class AppModule {}

    const app = await NestFactory.createMicroservice(AppModule, { strategy: server, logger: false });
    scope.defer(() => app.close());
    const health = app.get(PooledTcpHealthIndicator);
    await expect(health.isServing('orders', server)).resolves.toMatchObject({
      orders: { status: 'down', message: 'is idle' },
    });
    await app.listen();
    await expect(health.isServing('orders', server)).resolves.toMatchObject({ orders: { status: 'up' } });
    const port = Number(server.stats().address?.split(':').pop());
    const call = scope.client(port, { retry: false }).request('hold', {});
    await until(() => held.length === 1);

    const closing = app.close().then(() => order.push('application closed'));
    // Nest has been told in this very tick, and nothing of it has finished yet.
    await expect(health.isServing('orders', server)).resolves.toMatchObject({
      orders: { status: 'down', state: 'draining', message: 'is draining', inFlight: 1 },
    });
    // The pool still works: the handler may need it.
    await expect(health.isHealthy('upstream', { pool: 'upstream' })).resolves.toMatchObject({
      upstream: { status: 'up' },
    });
    expect(order).toEqual([]);
    held.pop()?.();
    await expect(call).resolves.toBe('finished');
    await closing;
    expect(order).toEqual(['database closed', 'application closed']);
    const pool = app.get<PooledTcpClient>('PooledTcpPool:upstream', { strict: false });
    await expect(health.isHealthy('upstream', { pool })).resolves.toMatchObject({
      upstream: { status: 'down', message: 'shutting down' },
    });
    await expect(health.isServing('orders', server)).resolves.toMatchObject({
      orders: { status: 'down', message: 'is closed' },
    });
  });
});
