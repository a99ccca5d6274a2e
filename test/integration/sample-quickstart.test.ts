import { beforeEach, describe, expect, it } from '@jest/globals';
import type { INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { filter, firstValueFrom } from 'rxjs';
import {
  getPoolToken,
  PooledTcpServer,
  type ClientStats,
  type PooledTcpClient,
  type PooledTcpClientOptions,
  type PooledTcpStatus,
} from '../../lib/index.js';
import { burst } from '../../sample/01-quickstart/demo/burst.js';
import { examples } from '../../sample/01-quickstart/demo/examples.js';
import { GatewayModule } from '../../sample/01-quickstart/gateway/gateway.module.js';
import { RpcServiceModule } from '../../sample/01-quickstart/rpc-service/rpc-service.module.js';
import { Scope } from '../support/nest-app.js';

interface Health {
  readonly status: string;
  readonly details: { readonly math: { readonly status: string; readonly total: number; readonly message?: string } };
}

describe('sample 01-quickstart', () => {
  const scope = new Scope();
  let rpc: INestMicroservice;
  let port: number;

  beforeEach(async () => {
    ({ rpc, port } = await startRpcService(0));
  });

  it('adds numbers over HTTP, and refuses what is no number', async () => {
    const { get } = await startGateway();

    expect(await get('/sum?n=1&n=2&n=39')).toEqual({ status: 200, body: { sum: 42 } });
    expect(await get('/sum?n=7')).toEqual({ status: 200, body: { sum: 7 } });
    expect(await get('/sum?n=one')).toMatchObject({ status: 400, body: { message: "'one' is not a number" } });
  });

  it('passes a stream on as server-sent events', async () => {
    const { url } = await startGateway();

    const events = await (await fetch(`${url}/countdown?from=2&everyMs=1`)).text();

    expect(events.match(/^data: .*$/gm)).toEqual(['data: {"left":2}', 'data: {"left":1}', 'data: {"left":0}']);
  });

  it('has its three connections before the first request, and says so in /health and /pool', async () => {
    const { get } = await startGateway();

    const health = await get<Health>('/health');
    const pool = await get<ClientStats>('/pool');

    expect(health).toMatchObject({
      status: 200,
      body: {
        status: 'ok',
        details: { math: { status: 'up', total: 3, idle: 3, active: 0, waiting: 0, inFlight: 0 } },
      },
    });
    expect(pool).toMatchObject({ status: 200, body: { name: 'math', total: 3, idle: 3, created: 3, requests: 0 } });
  });

  it('is down when the RPC service goes and up when it is back on its port, with nobody calling', async () => {
    const { get, pool } = await startGateway();

    await rpc.close();
    await statusOf(pool, 'disconnected');
    expect(await get<Health>('/health')).toMatchObject({
      status: 503,
      body: { status: 'error', details: { math: { status: 'down', total: 0, message: 'no endpoint is usable' } } },
    });

    await startRpcService(port);
    await statusOf(pool, 'connected');
    expect((await get('/health')).status).toBe(200);
    await pool.connect(); // until the last of the three is back
    expect(await get<Health>('/health')).toMatchObject({
      status: 200,
      body: { details: { math: { status: 'up', total: 3 } } },
    });
    expect(pool.stats().requests).toBe(0);
    expect(await get('/sum?n=1&n=2')).toEqual({ status: 200, body: { sum: 3 } });
  });

  it('answers 503 with the code while the RPC service is away', async () => {
    const { get, pool } = await startGateway({ pool: { min: 1, max: 1, acquireTimeoutMs: 30 } });

    await rpc.close();
    await statusOf(pool, 'disconnected');

    expect(await get('/sum?n=1')).toMatchObject({
      status: 503,
      body: { statusCode: 503, code: 'PTCP_ACQUIRE_TIMEOUT', message: expect.stringContaining(`127.0.0.1:${port}`) },
    });
  });

  it('shows an answer of every kind of handler', async () => {
    const { pool } = await startGateway();

    const outcomes = (await examples(pool)).map(({ handler, outcome }) => [handler, outcome]);

    expect(outcomes).toEqual([
      ['a value', '6'],
      ['a promise', '144'],
      ['a stream', '3, 2, 1, 0'],
      ['an event', 'the server pushes back "hello you"'],
      ['an exception', expect.stringMatching(/^PTCP_HANDLER_FAILED: .*cannot divide by zero$/)],
    ]);
  });

  it('answers every call of a burst, within max connections', async () => {
    const { pool } = await startGateway();
    const progress: number[] = [];

    const report = await burst(pool, { calls: 1_000, concurrency: 64, onProgress: (done) => progress.push(done) });

    expect(report).toMatchObject({ calls: 1_000, failed: 0, error: undefined });
    expect(progress).toEqual(Array.from({ length: 50 }, (_, i) => (i + 1) * 20));
    expect(report.pool.before).toMatchObject({ total: 3, inFlight: 0, requests: 0 });
    expect(report.pool.after).toMatchObject({ inFlight: 0, waiting: 0, requests: 1_000, failures: 0 });
    expect(report.pool.after.total).toBeLessThanOrEqual(6);
    const { p50, p90, p99, max } = report.latency;
    expect([p50, p90, p99, max]).toEqual([p50, p90, p99, max].toSorted((a, b) => a - b));
  });

  it('refuses to start when nothing listens where the pool should connect', async () => {
    await rpc.close();

    await expect(startGateway({ pool: { prewarmTimeoutMs: 50 } })).rejects.toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
  });

  async function startRpcService(onPort: number): Promise<{ rpc: INestMicroservice; port: number }> {
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: onPort });
    const app = await NestFactory.createMicroservice(RpcServiceModule, { strategy, logger: false });
    scope.defer(() => app.close());
    await app.listen();
    return { rpc: app, port: Number(strategy.stats().address?.split(':').at(-1)) };
  }

  async function startGateway(options: PooledTcpClientOptions = {}) {
    const gateway = GatewayModule.register({
      endpoints: [`127.0.0.1:${port}`],
      backoff: { initialMs: 20, maxMs: 100 },
      ...options,
    });
    const app = await NestFactory.create(gateway, { logger: false, abortOnError: false });
    scope.defer(() => app.close());
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const get = async <T = unknown>(path: string): Promise<{ status: number; body: T }> => {
      const response = await fetch(url + path);
      return { status: response.status, body: (await response.json()) as T };
    };
    return { url, get, pool: app.get<PooledTcpClient>(getPoolToken('math')) };
  }
});

/** Waits until the pool itself says so. */
function statusOf(pool: PooledTcpClient, wanted: PooledTcpStatus): Promise<PooledTcpStatus> {
  return firstValueFrom(pool.status.pipe(filter((status) => status === wanted)));
}
