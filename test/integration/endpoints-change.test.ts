import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { dnsEndpoints, type PooledTcpClient, type PooledTcpError } from '../../lib/index.js';
import { FaultProxy } from '../../lib/testing/index.js';
import { CallLedger, NO_DEFECTS } from '../support/call-ledger.js';
import { DnsServer } from '../support/dns-server.js';
import { Dnsmasq } from '../support/dnsmasq.js';
import { holdController } from '../support/hold-controller.js';
import { Load } from '../support/load.js';
import { Scope, type RunningPooledServer } from '../support/nest-app.js';
import { until } from '../support/sockets.js';

const CONCURRENT = 32;
const scope = new Scope();
let ledger: CallLedger;
beforeEach(() => {
  ledger = new CallLedger();
});

/** A server on an address and port of the test's choice, which answers `where` with its port. */
async function serverAt(host: string, port = 0, options: object = {}): Promise<RunningPooledServer> {
  @Controller()
  class PlaceController {
    @MessagePattern('where')
    where(): number {
      return server.port;
    }
  }
  const { controller } = holdController(ledger);
  const server = await scope.server([controller, PlaceController], { host, port, drainTimeoutMs: 1_000, ...options });
  return server;
}

const acquiredAt = (client: PooledTcpClient, address: string): number =>
  client.stats().endpoints.find((endpoint) => endpoint.address === address)?.acquired ?? 0;

/** A name server whose records change while it runs. */
interface NameServer {
  readonly address: string;
  set(names: Readonly<Record<string, readonly string[]>>): Promise<void>;
  close(): Promise<void>;
}

const refusal = await Dnsmasq.refusal();
if (refusal !== undefined)
  process.stdout.write(`endpoints-change: tests with dnsmasq are skipped, because ${refusal}\n`);

const nameServers: (readonly [string, () => Promise<NameServer>])[] = [
  ['a name server of ours', () => DnsServer.start()],
  ['dnsmasq', () => Dnsmasq.start()],
];

describe.each(refusal === undefined ? nameServers : nameServers.slice(0, 1))(
  'a name that changes under load, by %s',
  (_, startNameServer) => {
    let dns: NameServer;
    beforeEach(async () => {
      dns = await startNameServer();
    });
    afterEach(() => dns.close());

    it('moves the traffic to the servers that it names now: no call fails, and connections to the old one drain', async () => {
      const first = await serverAt('127.0.0.1');
      const { port } = first;
      const second = await serverAt('127.0.0.2', port);
      await serverAt('127.0.0.3', port);
      const name = (...addresses: string[]): Promise<void> => dns.set({ 'orders.test': addresses });
      await name('127.0.0.1', '127.0.0.2');
      const client = scope.client(undefined, {
        endpoints: dnsEndpoints({ host: 'orders.test', port, family: 4, refreshMs: 100, servers: [dns.address] }),
        retry: false,
      });
      await client.connect();
      const held = ledger.request(client, { pattern: 'hold', timeoutMs: Infinity });
      const load = new Load(ledger, client, CONCURRENT);
      await until(() => acquiredAt(client, `127.0.0.1:${port}`) > 50 && acquiredAt(client, `127.0.0.2:${port}`) > 50);

      await name('127.0.0.2', '127.0.0.3');
      await until(() => acquiredAt(client, `127.0.0.3:${port}`) > 50);
      await name('127.0.0.3');
      // The call that takes long holds its connection, wherever it is, and nothing else does.
      const old = (): number => first.strategy.stats().connections + second.strategy.stats().connections;
      await until(() => old() === 1);
      const now = acquiredAt(client, `127.0.0.3:${port}`);
      await until(() => acquiredAt(client, `127.0.0.3:${port}`) > now + 200);
      await load.stop();
      expect(old()).toBe(1);
      expect(ledger.report()).toMatchObject({ failedSent: 0, failedUnsent: 0, lost: 1 });
      expect(client.stats()).toMatchObject({ failures: 0 });
      client.destroy();
      await held;
      expect(ledger.report()).toMatchObject({ ...NO_DEFECTS, failedSent: 1 });
    }, 30_000);
  },
);

describe('maxConnectionAgeMs under load', () => {
  it('spreads connections over a server that came later, and no call fails', async () => {
    const aging = { maxConnectionAgeMs: 150 };
    const first = await serverAt('127.0.0.1', 0, aging);
    // One address before all replicas, as a service of Kubernetes is: where a connection ends up is decided when it opens.
    const proxy = await FaultProxy.listen({ target: { host: '127.0.0.1', port: first.port } });
    scope.defer(() => proxy.close());
    const client = scope.client(proxy.port, { retry: false, pool: { min: 4, max: 4 } });
    await client.connect();
    const load = new Load(ledger, client, CONCURRENT);
    await until(() => client.stats().requests > 200);
    expect(first.strategy.stats()).toMatchObject({ connections: 4 });

    const later = await serverAt('127.0.0.1', 0, aging);
    proxy.pointAt({ host: '127.0.0.1', port: later.port });
    await until(() => first.strategy.stats().connections === 0 && later.strategy.stats().connections >= 4);
    const then = client.stats().requests;
    await until(() => client.stats().requests > then + 200);
    await load.stop();
    const report = ledger.report();
    expect(report).toMatchObject({ ...NO_DEFECTS, answered: report.calls, handled: report.calls });
    expect(client.stats()).toMatchObject({ failures: 0, closed: { lost: 0, invalid: 0 } });
    expect(client.stats().closed.retired).toBeGreaterThanOrEqual(4);
  }, 30_000);
});

describe('a session that is pinned to a server', () => {
  it('by a lease is over when its connection dies: the holder learns it, and nothing goes on elsewhere', async () => {
    const servers = [await serverAt('127.0.0.1'), await serverAt('127.0.0.1')];
    const proxies = await Promise.all(
      servers.map(({ port }) => FaultProxy.listen({ target: { host: '127.0.0.1', port } })),
    );
    for (const proxy of proxies) scope.defer(() => proxy.close());
    const client = scope.client(undefined, { endpoints: proxies.map(({ port }) => `127.0.0.1:${port}`) });
    await client.connect();
    const lease = await client.acquire();
    const mine = proxies.find(({ port }) => lease.peer === `127.0.0.1:${port}`);
    const opened = ledger.open();
    ledger.answered(opened, await lease.request('echo', { tag: opened.tag }));
    const told = new Promise<unknown>((resolve) => {
      lease.signal.addEventListener('abort', () => {
        resolve(lease.signal.reason);
      });
    });
    const inFlight = ledger.open();
    const failed = lease.request('hold', { tag: inFlight.tag }, { idempotent: true }).catch((error: unknown) => {
      ledger.failed(inFlight, error);
      return error;
    });
    await until(() => ledger.handledCalls === 2);
    mine?.reset();
    await expect(told).resolves.toMatchObject({ code: 'PTCP_CONNECTION_LOST' });
    // Marked idempotent or not: what is pinned stays where it was.
    await expect(failed).resolves.toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
    const after = await lease.request('echo', { tag: 'never' }).catch((error: unknown) => error as PooledTcpError);
    expect(after).toMatchObject({ sent: false });
    expect(ledger.report()).toMatchObject({ ...NO_DEFECTS, handled: 2, answered: 1, failedSent: 1 });
    lease.release();
  }, 20_000);

  it('by a key is lost with its server: the caller whose call was under way learns it, and only new calls go elsewhere', async () => {
    const servers = [await serverAt('127.0.0.1'), await serverAt('127.0.0.1')];
    const proxies = await Promise.all(
      servers.map(({ port }) => FaultProxy.listen({ target: { host: '127.0.0.1', port } })),
    );
    for (const proxy of proxies) scope.defer(() => proxy.close());
    const client = scope.client(undefined, {
      endpoints: proxies.map(({ port }) => `127.0.0.1:${port}`),
      backoff: { initialMs: 20, maxMs: 100 },
      ejection: false,
    });
    await client.connect();
    const key = 'customer 7';
    const leased = async (): Promise<string> => {
      const lease = await client.acquire({ key });
      const { peer } = lease;
      lease.release();
      return peer;
    };
    const streamed = async (): Promise<unknown> => {
      const items: unknown[] = [];
      for await (const item of client.stream('where', {}, { key })) items.push(item);
      return items;
    };
    const home = await leased();
    const mine = proxies.find(({ port }) => home === `127.0.0.1:${port}`);
    const portOfHome = servers[proxies.findIndex((proxy) => proxy === mine)]?.port;
    const portElsewhere = servers.find(({ port }) => port !== portOfHome)?.port;
    await expect(client.request('where', {}, { key })).resolves.toBe(portOfHome);
    await expect(streamed()).resolves.toEqual([portOfHome]);
    const held = ledger.request(client, { pattern: 'hold', key, timeoutMs: Infinity });
    await until(() => ledger.handledCalls === 1);

    mine?.refuse();
    mine?.reset();
    await expect(held).resolves.toMatchObject({ state: 'failed-sent', code: 'PTCP_CONNECTION_LOST', peer: home });
    await until(() => client.stats().endpoints.some(({ total }) => total === 0));
    await expect(client.request('where', {}, { key })).resolves.toBe(portElsewhere);
    await expect(streamed()).resolves.toEqual([portElsewhere]);
    await expect(leased()).resolves.not.toBe(home);

    await mine?.accept();
    await until(() => client.stats().endpoints.every(({ total }) => total >= 2));
    await expect(client.request('where', {}, { key })).resolves.toBe(portOfHome);
    await expect(leased()).resolves.toBe(home);
  }, 30_000);
});
