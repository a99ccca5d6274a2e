import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import {
  dnsEndpoints,
  srvEndpoints,
  type EndpointAddress,
  type EndpointResolver,
  type PooledTcpError,
} from '../../lib/index.js';
import { DnsServer } from '../support/dns-server.js';
import { Scope } from '../support/nest-app.js';

@Controller()
class NameController {
  @MessagePattern('ping')
  ping(): string {
    return 'pong';
  }
}

const scope = new Scope();
let dns: DnsServer;
beforeEach(async () => {
  dns = await DnsServer.start();
});
afterEach(() => dns.close());

/** What a resolver yields, one after the other. */
class Watched {
  readonly #seen: (readonly EndpointAddress[] | Error)[] = [];
  #waiting: (() => void) | undefined;
  readonly stop: () => void;

  constructor(resolver: EndpointResolver) {
    const note = (what: readonly EndpointAddress[] | Error): void => {
      this.#seen.push(what);
      this.#waiting?.();
    };
    this.stop = resolver.watch({ update: note, error: note });
    scope.defer(this.stop);
  }

  async next(): Promise<readonly EndpointAddress[] | Error> {
    while (this.#seen.length === 0) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.#seen.shift() ?? [];
  }
}

describe('dnsEndpoints()', () => {
  it('yields the addresses of a name, and again when they have changed', async () => {
    dns.records.set('orders.test', [
      { type: 'A', address: '127.0.0.1' },
      { type: 'A', address: '127.0.0.2' },
    ]);
    const watched = new Watched(
      dnsEndpoints({ host: 'orders.test', port: 4000, family: 4, refreshMs: 100, servers: [dns.address] }),
    );
    expect(await watched.next()).toEqual([
      { host: '127.0.0.1', port: 4000 },
      { host: '127.0.0.2', port: 4000 },
    ]);
    dns.records.set('orders.test', [{ type: 'A', address: '127.0.0.3' }]);
    expect(await watched.next()).toEqual([{ host: '127.0.0.3', port: 4000 }]);
    expect(dns.questions).toBeGreaterThan(1);
  });

  it('takes both families, also where a name has only one', async () => {
    dns.records.set('both.test', [
      { type: 'A', address: '127.0.0.1' },
      { type: 'AAAA', address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] },
    ]);
    dns.records.set('one.test', [{ type: 'A', address: '127.0.0.9' }]);
    const both = new Watched(dnsEndpoints({ host: 'both.test', port: 1, refreshMs: 100, servers: [dns.address] }));
    expect(await both.next()).toEqual([
      { host: '127.0.0.1', port: 1 },
      { host: '::1', port: 1 },
    ]);
    const one = new Watched(dnsEndpoints({ host: 'one.test', port: 1, refreshMs: 100, servers: [dns.address] }));
    expect(await one.next()).toEqual([{ host: '127.0.0.9', port: 1 }]);
  });

  it('asks again when the TTL has passed, where that is longer than refreshMs', async () => {
    dns.records.set('slow.test', [{ type: 'A', address: '127.0.0.1', ttl: 3_600 }]);
    dns.records.set('fast.test', [{ type: 'A', address: '127.0.0.1', ttl: 0 }]);
    const at = (host: string): EndpointResolver =>
      dnsEndpoints({ host, port: 1, family: 4, refreshMs: 100, servers: [dns.address] });
    const slow = new Watched(at('slow.test'));
    await slow.next();
    const asked = dns.questions;
    const fast = new Watched(at('fast.test'));
    await fast.next();
    for (const address of ['127.0.0.2', '127.0.0.3']) {
      dns.records.set('fast.test', [{ type: 'A', address }]);
      await fast.next();
    }
    expect(dns.questionsFor('slow.test')).toBe(asked);
  });

  it('reports a look-up that fails and goes on looking', async () => {
    const watched = new Watched(
      dnsEndpoints({ host: 'late.test', port: 1, family: 4, refreshMs: 100, servers: [dns.address] }),
    );
    expect(await watched.next()).toMatchObject({ code: 'ENOTFOUND' });
    dns.records.set('late.test', [{ type: 'A', address: '127.0.0.1' }]);
    let found = await watched.next();
    while (found instanceof Error) found = await watched.next();
    expect(found).toEqual([{ host: '127.0.0.1', port: 1 }]);
  });

  it.each([
    [{ port: 1 }, 'dnsEndpoints.host'],
    [{ host: 'a.test' }, 'dnsEndpoints.port'],
    [{ host: 'a.test', port: 1, family: 5 }, 'dnsEndpoints.family'],
    [{ host: 'a.test', port: 1, refreshMs: 1 }, 'dnsEndpoints.refreshMs'],
  ])('refuses %j', (options, path) => {
    expect(() => dnsEndpoints(options)).toThrow(path);
  });
});

describe('srvEndpoints()', () => {
  it('yields the endpoints of all records, with their priorities and weights', async () => {
    dns.records.set('_orders._tcp.test', [
      { type: 'SRV', priority: 10, weight: 60, port: 4001, target: 'a.test' },
      { type: 'SRV', priority: 10, weight: 0, port: 4002, target: 'b.test' },
      { type: 'SRV', priority: 20, weight: 0, port: 4003, target: 'spare.test' },
      { type: 'SRV', priority: 20, weight: 0, port: 4004, target: 'spare.test' },
    ]);
    const watched = new Watched(srvEndpoints({ name: '_orders._tcp.test', refreshMs: 100, servers: [dns.address] }));
    const found = (await watched.next()) as EndpointAddress[];
    expect(found).toHaveLength(4);
    expect(found).toEqual(
      expect.arrayContaining([
        { host: 'a.test', port: 4001, priority: 10, weight: 60 },
        // A very small chance beside one that has a weight, and an equal one among those that have none.
        { host: 'b.test', port: 4002, priority: 10, weight: 0.1 },
        { host: 'spare.test', port: 4003, priority: 20, weight: 1 },
        { host: 'spare.test', port: 4004, priority: 20, weight: 1 },
      ]),
    );
  });

  it('spread calls by weight, and take the next priority when none of the first is left', async () => {
    const heavy = await scope.server([NameController]);
    const light = await scope.server([NameController]);
    const spare = await scope.server([NameController]);
    const at = (...records: readonly [priority: number, weight: number, port: number][]): void => {
      dns.records.set(
        '_tiers._tcp.test',
        records.map(([priority, weight, port]) => ({ type: 'SRV', priority, weight, port, target: 'localhost' })),
      );
    };
    at([1, 9, heavy.port], [1, 1, light.port], [2, 1, spare.port]);
    const client = scope.client(undefined, {
      endpoints: srvEndpoints({ name: '_tiers._tcp.test', refreshMs: 100, servers: [dns.address] }),
      pool: { min: 1, max: 1 },
      balancer: 'round-robin',
    });
    await client.connect();
    const servedBy = (port: number): number =>
      client.stats().endpoints.find(({ address }) => address === `localhost:${port}`)?.acquired ?? 0;
    for (let i = 0; i < 20; i++) await client.request('ping', i);
    expect([heavy, light, spare].map(({ port }) => servedBy(port))).toEqual([18, 2, 0]);
    at([2, 1, spare.port]);
    let calls = 20;
    for (; client.stats().endpoints.length > 1; calls++) expect(await client.request('ping', 1)).toBe('pong');
    expect(await client.request('ping', 1)).toBe('pong');
    expect(servedBy(spare.port)).toBeGreaterThan(0);
    expect(client.stats()).toMatchObject({ failures: 0, retries: 0, requests: calls + 1 });
  });

  it('moves a pool from one server to the next without a failed call', async () => {
    const first = await scope.server([NameController]);
    const second = await scope.server([NameController]);
    const at = (port: number): void => {
      dns.records.set('_names._tcp.test', [{ type: 'SRV', priority: 1, port, target: 'localhost' }]);
    };
    at(first.port);
    const client = scope.client(undefined, {
      endpoints: srvEndpoints({ name: '_names._tcp.test', refreshMs: 100, servers: [dns.address] }),
      pool: { min: 1, max: 2 },
    });
    await client.connect();
    const used = (): string[] => client.stats().endpoints.map(({ address }) => address);
    expect(used()).toEqual([`localhost:${first.port}`]);
    at(second.port);
    let calls = 0;
    while (!used().includes(`localhost:${second.port}`) || client.stats().endpoints.length > 1) {
      expect(await client.request('ping', 1)).toBe('pong');
      calls += 1;
    }
    expect(await client.request('ping', 1)).toBe('pong');
    expect(calls).toBeGreaterThan(0);
    expect(client.stats()).toMatchObject({ failures: 0, requests: calls + 1 });
  });

  it('that names nothing fails the first call with a code, and says why', async () => {
    const client = scope.client(undefined, {
      endpoints: srvEndpoints({ name: '_nobody._tcp.test', refreshMs: 100, servers: [dns.address] }),
      pool: { acquireTimeoutMs: 200 },
    });
    const error = await client.request('ping', 1).catch((reason: unknown) => reason as PooledTcpError);
    expect(error).toMatchObject({ code: 'PTCP_RESOLVE_FAILED', sent: false, cause: { code: 'ENOTFOUND' } });
  });
});
