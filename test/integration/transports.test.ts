import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PooledTcpClient } from '../../lib/index.js';
import { nestJson, PooledTcpContext } from '../../lib/index.js';
import {
  CA_CERTIFICATE,
  CLIENT_CERTIFICATE,
  CLIENT_KEY,
  OTHER_CA_CERTIFICATE,
  SERVER_CERTIFICATE,
  SERVER_KEY,
} from '../support/certificates.js';
import { Scope } from '../support/nest-app.js';
import { RawPeer, until } from '../support/sockets.js';

const scope = new Scope();
const SERVER_TLS = { key: SERVER_KEY, cert: SERVER_CERTIFICATE };

@Controller()
class WhoController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('who')
  who(@Payload() _data: unknown, @Ctx() context: PooledTcpContext): unknown {
    const { peer, tlsIdentity } = context.getSession();
    return { peer, tlsIdentity: tlsIdentity ?? null };
  }
}

/** What connect() rejects with, and what lies under it. */
async function connectFailure(client: PooledTcpClient): Promise<{ code: string; cause: unknown }> {
  return (await client.connect().catch((error: unknown) => error)) as { code: string; cause: unknown };
}

const FAST = { prewarmTimeoutMs: 300 };

describe('TLS', () => {
  it('carries calls when the authority is known, on both wires', async () => {
    const { port } = await scope.server([WhoController], { tls: SERVER_TLS });
    for (const protocol of ['auto', nestJson()] as const) {
      const client = scope.client(port, { tls: { ca: CA_CERTIFICATE }, protocol });
      await client.connect();
      const large = 'x'.repeat(300_000);
      await expect(
        Promise.all(Array.from({ length: 50 }, () => client.request<string>('echo', large))),
      ).resolves.toEqual(Array(50).fill(large));
    }
  });

  it('is switched on by a tls:// endpoint, and checks the host name', async () => {
    const { port } = await scope.server([WhoController], { tls: SERVER_TLS });
    const named = scope.client(undefined, { endpoints: [`tls://localhost:${port}`], tls: { ca: CA_CERTIFICATE } });
    await expect(named.request('echo', 1)).resolves.toBe(1);
    const unverified = scope.client(undefined, {
      endpoints: [`tls://127.0.0.1:${port}`],
      pool: FAST,
    });
    await expect(connectFailure(unverified)).resolves.toMatchObject({ cause: { code: 'PTCP_CONNECT_FAILED' } });
  });

  it('accepts any certificate with rejectUnauthorized: false', async () => {
    const { port } = await scope.server([WhoController], { tls: SERVER_TLS });
    const client = scope.client(port, { tls: { rejectUnauthorized: false } });
    await expect(client.request('echo', 1)).resolves.toBe(1);
  });

  it('fails to connect when the authority is another', async () => {
    const { port } = await scope.server([WhoController], { tls: SERVER_TLS });
    const client = scope.client(port, { tls: { ca: OTHER_CA_CERTIFICATE }, pool: FAST });
    const failure = await connectFailure(client);
    expect(failure).toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      cause: { code: 'PTCP_CONNECT_FAILED', peer: expect.stringContaining(String(port)), sent: false },
    });
    await expect(client.request('echo', 1, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'PTCP_ACQUIRE_TIMEOUT',
      sent: false,
      cause: { code: 'PTCP_CONNECT_FAILED' },
    });
  });

  it('knows the client by its certificate, and refuses one without', async () => {
    const { port } = await scope.server([WhoController], {
      tls: { ...SERVER_TLS, ca: CA_CERTIFICATE, requestCert: true, rejectUnauthorized: true },
    });
    const known = scope.client(port, { tls: { ca: CA_CERTIFICATE, cert: CLIENT_CERTIFICATE, key: CLIENT_KEY } });
    await expect(known.request('who', {})).resolves.toMatchObject({ tlsIdentity: 'orders-service' });
    const unknown = scope.client(port, { tls: { ca: CA_CERTIFICATE }, pool: FAST });
    await expect(connectFailure(unknown)).resolves.toMatchObject({ code: 'PTCP_POOL_PREWARM_FAILED' });
  });

  it('on one side only fails with a code, not with silence', async () => {
    const secure = await scope.server([WhoController], { tls: SERVER_TLS });
    const plain = await scope.server([WhoController]);
    const toSecure = scope.client(secure.port, { pool: { ...FAST, connectTimeoutMs: 100 } });
    const toPlain = scope.client(plain.port, {
      tls: { ca: CA_CERTIFICATE },
      pool: { ...FAST, connectTimeoutMs: 100 },
    });
    await expect(connectFailure(toSecure)).resolves.toMatchObject({
      cause: { code: expect.stringMatching(/^PTCP_(HANDSHAKE_FAILED|CONNECT_TIMEOUT|CONNECT_FAILED)$/) },
    });
    await expect(connectFailure(toPlain)).resolves.toMatchObject({
      cause: { code: expect.stringMatching(/^PTCP_(CONNECT_FAILED|CONNECT_TIMEOUT)$/) },
    });
  });

  it('a peer that never begins the handshake is closed like one that never sends a frame', async () => {
    const { port } = await scope.server([WhoController], { tls: SERVER_TLS, firstFrameTimeoutMs: 50 });
    const mute = await RawPeer.connect(port);
    await mute.closed;
  });

  it('a peer in the middle of the handshake does not hold up close()', async () => {
    const { app, port } = await scope.server([WhoController], { tls: SERVER_TLS });
    const mute = await RawPeer.connect(port);
    // The server has accepted it once somebody who came later is served.
    await scope.client(port, { tls: { ca: CA_CERTIFICATE } }).request('echo', 1);
    await app.close();
    await mute.closed;
  });
});

describe('a Unix socket', () => {
  async function socketPath(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'ptcp-'));
    scope.defer(() => rm(folder, { recursive: true }));
    return join(folder, 'orders.sock');
  }

  it('carries calls, on both wires', async () => {
    const path = await socketPath();
    const { strategy } = await scope.server([WhoController], { path });
    expect(strategy.stats().address).toBe(`unix:${path}`);
    for (const protocol of ['auto', nestJson()] as const) {
      const client = scope.client(undefined, { endpoints: [`unix:${path}`], protocol });
      await client.connect();
      await expect(client.request('who', {})).resolves.toEqual({ peer: 'unix socket', tlsIdentity: null });
      expect(client.stats().endpoints[0]).toMatchObject({ address: `unix:${path}`, state: 'ready', total: 2 });
    }
  });

  it('that is in use, or whose path is something else, cannot be listened on', async () => {
    const path = await socketPath();
    await scope.server([WhoController], { path });
    await expect(scope.server([WhoController], { path })).rejects.toMatchObject({ code: 'PTCP_LISTEN_FAILED' });
    const file = await socketPath();
    await writeFile(file, '');
    await expect(scope.server([WhoController], { path: file })).rejects.toMatchObject({ code: 'PTCP_LISTEN_FAILED' });
  });

  it('on which nobody listens cannot be connected to', async () => {
    const client = scope.client(undefined, { endpoints: [`unix:${await socketPath()}`], pool: FAST });
    await expect(connectFailure(client)).resolves.toMatchObject({
      cause: { code: 'PTCP_CONNECT_FAILED', cause: { code: 'ENOENT' } },
    });
  });
});

describe('IPv6', () => {
  const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address === '::1'),
  );

  it('carries calls where the machine has it, and is refused with a code where it has not', async () => {
    if (!hasIpv6) {
      await expect(scope.server([WhoController], { host: '::1' })).rejects.toMatchObject({
        code: 'PTCP_LISTEN_FAILED',
      });
      return;
    }
    const { strategy } = await scope.server([WhoController], { host: '::1', tls: SERVER_TLS });
    const { port } = strategy.unwrap().address() as AddressInfo;
    expect(strategy.stats().address).toBe(`[::1]:${port}`);
    const client = scope.client(undefined, { endpoints: [`[::1]:${port}`], tls: { ca: CA_CERTIFICATE } });
    await expect(client.request('who', {})).resolves.toMatchObject({ peer: expect.stringMatching(/^\[::1\]:\d+$/) });
    await until(() => client.stats().total === 2);
  });
});
