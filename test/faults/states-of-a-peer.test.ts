import { afterAll, describe, expect, it } from '@jest/globals';
import type { PooledTcpClientOptions } from '../../lib/index.js';
import { FaultProxy } from '../../lib/testing/index.js';
import { CallLedger, NO_DEFECTS } from '../support/call-ledger.js';
import { Figures } from '../support/figures.js';
import { holdController } from '../support/hold-controller.js';
import { Scope } from '../support/nest-app.js';
import { until } from '../support/sockets.js';

/** The states of a peer as far as a proxy can make them; these tests run everywhere. */
const heartbeat = { intervalMs: 200, timeoutMs: 100 };
const CALLS = 10;
const CLIENT: PooledTcpClientOptions = {
  heartbeat,
  pool: { min: 2, max: 2, connectTimeoutMs: 300 },
  backoff: { initialMs: 20, maxMs: 100 },
};

const scope = new Scope();
const figures = new Figures(
  `Through a proxy: time to detection in ms; the bound is ${heartbeat.intervalMs} + ${heartbeat.timeoutMs} since the last byte`,
  ['fault', 'client, ms', 'its calls fail with', 'server, ms', 'its handlers are told'],
);
afterAll(() => {
  figures.print();
});

interface Fault {
  readonly name: string;
  /** What calls in flight fail with, and what handlers are told. */
  readonly code: string;
  readonly begin: (proxy: FaultProxy) => void;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'silence: a blackhole',
    code: 'PTCP_HEARTBEAT_TIMEOUT',
    begin: (proxy) => {
      proxy.set({ blackhole: true });
    },
  },
  {
    name: 'silence: a stall that ends too late',
    code: 'PTCP_HEARTBEAT_TIMEOUT',
    begin: (proxy) => {
      proxy.set({ stall: true });
    },
  },
  {
    name: 'a reset of both ends',
    code: 'PTCP_CONNECTION_LOST',
    begin: (proxy) => {
      proxy.refuse();
      proxy.reset();
    },
  },
  {
    name: 'the end of the stream, at both ends',
    code: 'PTCP_CONNECTION_LOST',
    begin: (proxy) => {
      proxy.refuse();
      for (const connection of proxy.connections) connection.destroy();
    },
  },
];

describe('both ends find out about each other', () => {
  it.each(FAULTS)(
    '$name: calls in flight fail at once, sent, and the pool comes back',
    async ({ name, code, begin }) => {
      const ledger = new CallLedger();
      const { controller, log } = holdController(ledger);
      const { port, strategy } = await scope.server([controller], { heartbeat });
      const proxy = await FaultProxy.listen({ target: { host: '127.0.0.1', port } });
      scope.defer(() => proxy.close());
      const client = scope.client(proxy.port, CLIENT);
      await client.connect();
      const calls = Array.from({ length: CALLS }, () =>
        ledger.request(client, { pattern: 'hold', timeoutMs: Infinity }),
      );
      await until(() => log.held.size === CALLS);

      const brokenAt = performance.now();
      const server = until(() => log.reasons.length === CALLS).then(() => performance.now() - brokenAt);
      begin(proxy);
      const failed = await Promise.all(calls);
      const clientMs = performance.now() - brokenAt;
      const serverMs = await server;
      figures.add(name, clientMs, String(failed[0]?.code), serverMs, String(log.reasons[0]));
      expect(failed.map((call) => [call.state, call.code])).toEqual(failed.map(() => ['failed-sent', code]));
      expect(log.reasons).toEqual(failed.map(() => code));
      await expect(ledger.request(client, { timeoutMs: 100 })).resolves.toMatchObject({ state: 'failed-unsent' });

      proxy.heal();
      await proxy.accept();
      await until(() => client.stats().total === 2 && strategy.stats().connections === 2);
      await expect(ledger.request(client)).resolves.toMatchObject({ state: 'answered' });
      expect(ledger.report()).toMatchObject({ ...NO_DEFECTS, answered: 1, failedSent: CALLS, failedUnsent: 1 });
    },
    20_000,
  );

  it('a peer that is slow, but answers within the time of a heartbeat, is alive', async () => {
    const ledger = new CallLedger();
    const { controller, log } = holdController(ledger);
    const { port } = await scope.server([controller], { heartbeat });
    const proxy = await FaultProxy.listen({ target: { host: '127.0.0.1', port } });
    scope.defer(() => proxy.close());
    const client = scope.client(proxy.port, CLIENT);
    await client.connect();
    const held = ledger.request(client, { pattern: 'hold', timeoutMs: Infinity });
    await until(() => log.held.size === 1);
    proxy.set({ latencyMs: 15, jitterMs: 5, sliceBytes: 1 });
    const roundTrips = new Set<number>();
    await until(() => {
      const { roundTripMs } = client.stats().endpoints[0] ?? {};
      if (typeof roundTripMs === 'number' && roundTripMs > 30) roundTrips.add(roundTripMs);
      return roundTrips.size === 3;
    });
    expect(client.stats()).toMatchObject({ created: 2, total: 2, closed: { lost: 0 } });
    expect(ledger.pending).toBe(1);
    client.destroy();
    await held;
  }, 20_000);
});
