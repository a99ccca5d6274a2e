import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { ModuleRef } from '@nestjs/core';
import { HealthIndicatorService } from '@nestjs/terminus';
import type { PooledTcpClient } from '../../lib/index.js';
import { PooledTcpHealthIndicator } from '../../lib/terminus/index.js';
import { Scope } from '../support/nest-app.js';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }
}

const scope = new Scope();

async function connectedClient(): Promise<{ client: PooledTcpClient; close: () => Promise<void> }> {
  const server = await scope.server([EchoController]);
  const client = scope.client(server.port, { pool: { min: 1, max: 2 } });
  await client.connect();
  return { client, close: () => server.close() };
}

describe('timeoutMs of one call', () => {
  it.each([0, -5, -Infinity])('%d is a deadline that has passed: the call fails at once, unsent', async (timeoutMs) => {
    const { client } = await connectedClient();
    await expect(client.request('echo', 1, { timeoutMs })).rejects.toMatchObject({
      code: 'PTCP_REQUEST_TIMEOUT',
      sent: false,
    });
    await client.withLease(async (lease) => {
      await expect(lease.request('echo', 1, { timeoutMs })).rejects.toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT' });
    });
    expect(client.stats().inFlight).toBe(0);
  });

  it.each([NaN, '500', null])('%p is refused', async (timeoutMs) => {
    const { client } = await connectedClient();
    const options = { timeoutMs: timeoutMs as number };
    await expect(client.request('echo', 1, options)).rejects.toMatchObject({
      code: 'PTCP_OPTION_INVALID',
      message: expect.stringContaining('timeoutMs'),
    });
    await expect(client.acquire(options)).rejects.toMatchObject({ code: 'PTCP_OPTION_INVALID' });
  });

  it.each([Infinity, 3e9, 1_000.5])('%d is as good as any', async (timeoutMs) => {
    const { client } = await connectedClient();
    expect(await client.request('echo', 1, { timeoutMs })).toBe(1);
    const lease = await client.acquire({ timeoutMs });
    expect(await lease.request('echo', 2, { timeoutMs })).toBe(2);
    lease.release();
  });
});

describe('a listener that throws', () => {
  it('keeps no call waiting and no connection from being replaced', async () => {
    const { client, close } = await connectedClient();
    const thrown: string[] = [];
    client.on('disconnect', () => {
      thrown.push('disconnect');
      throw new Error('a defect of the listener');
    });
    await close();
    expect(thrown).toEqual(['disconnect']);
    expect(client.stats()).toMatchObject({ total: 0 });
    expect(client.stats().endpoints[0]?.state).not.toBe('ready');
  });
});

describe('a required prewarm that fails', () => {
  it('leaves nothing that goes on dialling', async () => {
    const client = scope.client(1, { pool: { prewarmTimeoutMs: 100 } });
    await expect(client.onApplicationBootstrap()).rejects.toMatchObject({ code: 'PTCP_POOL_PREWARM_FAILED' });
    await expect(client.request('echo', 1)).rejects.toMatchObject({ code: 'PTCP_POOL_CLOSED' });
  });

  it('can be repeated where connect() was called by hand', async () => {
    const client = scope.client(1, { pool: { prewarmTimeoutMs: 100 } });
    await expect(client.connect()).rejects.toMatchObject({ code: 'PTCP_POOL_PREWARM_FAILED' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'PTCP_POOL_PREWARM_FAILED' });
  });
});

describe('the health of a pool that nobody has used yet', () => {
  it('is up, since nothing speaks against it and nothing is opened to find out', async () => {
    const { port } = await scope.server([EchoController]);
    const client = scope.client(port, { pool: { min: 1, max: 2, prewarm: false } });
    const health = new PooledTcpHealthIndicator({} as ModuleRef, new HealthIndicatorService());
    await client.onApplicationBootstrap();
    expect(await health.isHealthy('pool', { pool: client })).toMatchObject({
      pool: { status: 'up', total: 0, message: 'not in use yet' },
    });
    expect(client.stats().created).toBe(0);
    await client.request('echo', 1);
    expect(await health.isHealthy('pool', { pool: client })).toMatchObject({ pool: { status: 'up', total: 1 } });
  });
});
