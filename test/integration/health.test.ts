import { beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern } from '@nestjs/microservices';
import { HealthCheck, HealthCheckService, TerminusModule, type HealthCheckResult } from '@nestjs/terminus';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { PooledTcpClient, PooledTcpError, PooledTcpModule, type PooledTcpClientOptions } from '../../lib/index.js';
import { PooledTcpHealthIndicator, type PooledTcpHealthOptions } from '../../lib/terminus/index.js';
import { Scope, type RunningPooledServer } from '../support/nest-app.js';
import { ConnectionCount } from '../support/sockets.js';

const scope = new Scope();
/** Calls of `hold` that wait to be let go. */
const held: (() => void)[] = [];

@Controller()
class PeerController {
  @MessagePattern('hold')
  hold(): Promise<string> {
    return new Promise((resolve) => {
      held.push(() => {
        resolve('finished');
      });
    });
  }
}

/** What the next /health asks for. */
let options: PooledTcpHealthOptions = {};

@Controller()
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly pooledTcp: PooledTcpHealthIndicator,
  ) {}

  @Get('health')
  @HealthCheck({ noCache: true })
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.pooledTcp.isHealthy('orders', options)]);
  }
}

interface Health {
  readonly http: number;
  readonly status: string;
  readonly details: Record<string, unknown>;
}

interface Service {
  readonly app: INestApplication;
  readonly client: PooledTcpClient;
  readonly health: () => Promise<Health>;
}

/** A web service that calls others through the pool `orders` and says how that is. */
async function startService(pool: PooledTcpClientOptions): Promise<Service> {
  @Module({
    imports: [
      PooledTcpModule.forRoot({ name: 'orders', backoff: { initialMs: 5, maxMs: 20 }, ...pool }),
      TerminusModule.forRoot({ logger: false }),
    ],
    controllers: [HealthController],
    providers: [PooledTcpHealthIndicator],
  })
  class ServiceModule {}
  const app = await NestFactory.create(ServiceModule, { logger: false });
  scope.defer(() => app.close());
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as NetServer).address() as AddressInfo;
  return {
    app,
    client: app.get('PooledTcpPool:orders', { strict: false }),
    health: async () => {
      const response = await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: 'close' } });
      const body = (await response.json()) as Partial<HealthCheckResult>;
      const { status = '', ...details } = body.details?.['orders'] ?? {};
      return { http: response.status, status, details };
    },
  };
}

/** Asks until the pool has the status; the test's own timeout bounds it. */
async function untilHealth({ health }: Service, wanted: string): Promise<Health> {
  for (;;) {
    const answer = await health();
    if (answer.status === wanted) return answer;
  }
}

describe('/health', () => {
  let server: RunningPooledServer;

  beforeEach(async () => {
    options = { pool: 'orders' };
    server = await scope.server([PeerController]);
  });

  it('is up with the counts of the pool', async () => {
    const service = await startService({ host: '127.0.0.1', port: server.port, pool: { min: 3, max: 5 } });
    await expect(service.health()).resolves.toEqual({
      http: 200,
      status: 'up',
      details: {
        pool: 'orders',
        total: 3,
        idle: 3,
        active: 0,
        connecting: 0,
        waiting: 0,
        inFlight: 0,
        endpoints: [{ address: `127.0.0.1:${server.port}`, state: 'ready', total: 3 }],
      },
    });
  });

  it('shows what calls in mode short cost, and is up while the only connection is being opened', async () => {
    const service = await startService({ host: '127.0.0.1', port: server.port, pool: { mode: 'short' } });
    await expect(service.health()).resolves.toMatchObject({
      status: 'up',
      details: { total: 0, connectsPerSecond: 0, timeWait: 0 },
    });
    const calls = [service.client.request('hold', {}), service.client.request('hold', {})];
    const indicator = service.app.get(PooledTcpHealthIndicator, { strict: false });
    await expect(indicator.isHealthy('orders', { pool: service.client })).resolves.toMatchObject({
      orders: { status: 'up', total: 0, connecting: 2 },
    });
    while (held.length < 2) await service.health();
    for (const finish of held.splice(0)) finish();
    await Promise.all(calls);
    await expect(service.health()).resolves.toMatchObject({
      status: 'up',
      details: { total: 0, connectsPerSecond: 2, timeWait: expect.any(Number) },
    });

    await server.close();
    await expect(service.client.request('hold', {}, { timeoutMs: 100 })).rejects.toThrow(PooledTcpError);
    await expect(service.health()).resolves.toMatchObject({ http: 503, status: 'down' });
  });

  it('asks the peer nothing and opens nothing', async () => {
    const count = new ConnectionCount(server.netServer);
    const service = await startService({ host: '127.0.0.1', port: server.port });
    const before = service.client.stats();
    await service.health();
    expect(service.client.stats()).toMatchObject({ requests: before.requests, acquired: before.acquired });
    expect(count.total).toBe(2);
  });

  it('goes down when the server is killed, and up when it is back, with nobody calling in between', async () => {
    const service = await startService({ host: '127.0.0.1', port: server.port });
    const count = new ConnectionCount(server.netServer);
    await expect(service.health()).resolves.toMatchObject({ http: 200, status: 'up' });

    await server.close();
    const down = await untilHealth(service, 'down');
    expect(down).toMatchObject({ http: 503, details: { total: 0, message: 'no endpoint is usable' } });
    expect(count.open).toBe(0);

    await scope.server([PeerController], { port: server.port });
    const up = await untilHealth(service, 'up');
    expect(up).toMatchObject({ http: 200, details: { total: 2 } });
    expect(service.client.stats().requests).toBe(0);
  });

  it('is degraded while one of two endpoints is gone', async () => {
    const other = await scope.server([PeerController]);
    const endpoints = [`127.0.0.1:${server.port}`, `127.0.0.1:${other.port}`];
    const service = await startService({ endpoints });
    await expect(service.health()).resolves.toMatchObject({ status: 'up' });

    await other.close();
    const degraded = await untilHealth(service, 'degraded');
    expect(degraded.http).toBe(200);
    expect(degraded.details).toMatchObject({
      total: 2,
      message: `below min (2): ${endpoints[1]} has 0`,
      endpoints: [
        { address: endpoints[0], state: 'ready', total: 2 },
        { address: endpoints[1], total: 0 },
      ],
    });
    options = { pool: 'orders', reportDegraded: false };
    await expect(service.health()).resolves.toMatchObject({ http: 200, status: 'up' });
    options = { pool: 'orders' };

    await scope.server([PeerController], { port: other.port });
    await untilHealth(service, 'up');
  });

  it('is down while the application shuts down, although calls still finish', async () => {
    const service = await startService({ host: '127.0.0.1', port: server.port });
    const indicator = service.app.get(PooledTcpHealthIndicator, { strict: false });
    const call = service.client.request('hold', {});
    while (held.length === 0) await service.health();

    const closing = service.client.close();
    await expect(indicator.isHealthy('orders', { pool: service.client })).resolves.toMatchObject({
      orders: { status: 'down', message: 'shutting down', inFlight: 1 },
    });
    await expect(service.health()).resolves.toMatchObject({ http: 503, status: 'down' });
    held.pop()?.();
    await expect(call).resolves.toBe('finished');
    await closing;
  });

  it('of an unknown pool rejects', async () => {
    const service = await startService({ host: '127.0.0.1', port: server.port });
    const indicator = service.app.get(PooledTcpHealthIndicator, { strict: false });
    await expect(indicator.isHealthy('orders', { pool: 'nobody' })).rejects.toThrow(/PooledTcpPool:nobody/);
    await expect(indicator.isHealthy('orders')).rejects.toThrow(/PooledTcpPool:default/);
    options = { pool: 'nobody' };
    expect((await service.health()).http).not.toBe(200);
  });
});
