import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PooledTcpClientOptions, PooledTcpServerOptions } from '../../lib/index.js';
import { AppProcess } from '../support/app-process.js';
import type { CallerTask } from '../support/apps/caller.js';
import { CallLedger, NO_DEFECTS } from '../support/call-ledger.js';
import { Figures } from '../support/figures.js';
import { holdController } from '../support/hold-controller.js';
import { Scope } from '../support/nest-app.js';
import { NetworkLab, type LabHost } from '../support/network-lab.js';
import { until } from '../support/sockets.js';

/**
 * The four states of a peer (TCP/IP Illustrated, volume 1, chapter 17), on hosts with a network of their own.
 * What is measured is the time until the last call in flight has failed, from the moment the fault begins.
 */
const heartbeat = { intervalMs: 200, timeoutMs: 100 };
const CALLS = 10;
const PORT = 4000;

const CLIENT: PooledTcpClientOptions = {
  heartbeat,
  pool: { min: 2, max: 2, connectTimeoutMs: 300 },
  backoff: { initialMs: 20, maxMs: 100 },
};

interface Fault {
  readonly state: string;
  /** What calls in flight may fail with. */
  readonly codes: readonly string[];
  begin(host: LabHost, peer: AppProcess): Promise<void>;
  /** Whether the peer's process has to be started again. */
  readonly isFatal: boolean;
  readonly needsFirewall?: boolean;
}

const FAULTS: readonly Fault[] = [
  {
    state: 'crashed: the process, with kill -9',
    // The kernel closes its connections when it gets round to it; on a loaded machine the heartbeat is quicker.
    codes: ['PTCP_CONNECTION_LOST', 'PTCP_HEARTBEAT_TIMEOUT'],
    begin: (_host, peer) => peer.kill(),
    isFatal: true,
  },
  {
    state: 'crashed: the whole host',
    codes: ['PTCP_HEARTBEAT_TIMEOUT'],
    begin: async (host, peer) => {
      await host.unplug();
      await peer.kill();
    },
    isFatal: true,
  },
  {
    state: 'crashed and restarted',
    // The reset answers the first packet that arrives. A ping that the restart has swallowed is sent again by TCP
    // after 200 ms, and by then its answer is overdue.
    codes: ['PTCP_CONNECTION_LOST', 'PTCP_HEARTBEAT_TIMEOUT'],
    begin: async (host, peer) => {
      await host.restart();
      await peer.kill();
    },
    isFatal: true,
  },
  {
    state: 'unreachable: packets are dropped',
    codes: ['PTCP_HEARTBEAT_TIMEOUT'],
    begin: (host) => host.drop(),
    isFatal: false,
  },
  {
    state: 'unreachable: packets are rejected with ICMP',
    codes: ['PTCP_HEARTBEAT_TIMEOUT'],
    begin: (host) => host.reject('icmp-host-prohibited'),
    isFatal: false,
    needsFirewall: true,
  },
  {
    state: 'unreachable: packets are rejected with a reset',
    codes: ['PTCP_CONNECTION_LOST'],
    begin: (host) => host.reject('tcp-reset'),
    isFatal: false,
    needsFirewall: true,
  },
  {
    state: 'frozen, with kill -STOP',
    codes: ['PTCP_HEARTBEAT_TIMEOUT'],
    begin: (_host, peer) => {
      peer.signal('SIGSTOP');
      return Promise.resolve();
    },
    isFatal: false,
  },
];

const refusal = await NetworkLab.refusal();
const firewallRefusal = refusal === undefined ? await NetworkLab.firewallRefusal() : undefined;
if (refusal !== undefined) process.stdout.write(`states-of-a-host: every test is skipped, because ${refusal}\n`);
if (firewallRefusal !== undefined)
  process.stdout.write(`states-of-a-host: tests of rejected packets are skipped, because ${firewallRefusal}\n`);
const describeOnHosts = refusal === undefined ? describe : describe.skip;
const possible = FAULTS.filter(({ needsFirewall }) => needsFirewall !== true || firewallRefusal === undefined);
const impossible = FAULTS.filter((fault) => !possible.includes(fault));

const scope = new Scope();
const lab = new NetworkLab();
const figures = new Figures(
  `Time to detection in ms; the bound is ${heartbeat.intervalMs} + ${heartbeat.timeoutMs} since the last byte`,
  ['who finds out', 'state of the other', 'ms', 'calls in flight fail with'],
);

/** A host with a process on it. To boot both takes longer than most tests, so the next test gets them as they are. */
interface Station {
  readonly host: LabHost;
  peer: AppProcess;
}
let station: Station | undefined;
let ledger: CallLedger;
let isRestored: boolean;

async function boot(host: LabHost, app: string, ...args: unknown[]): Promise<AppProcess> {
  return AppProcess.start({
    app,
    args: args.map((arg) => JSON.stringify(arg)),
    prefix: host.prefix,
    onLine: (tag) => {
      ledger.handled(tag);
    },
  });
}

/** The fault ends: packets pass again, and a peer that died is there again. */
async function restore(
  fault: Fault,
  { host, peer }: Station,
  bootAgain: () => Promise<AppProcess>,
): Promise<AppProcess> {
  if (fault.state === 'crashed: the whole host') await host.restart();
  await host.heal();
  peer.signal('SIGCONT');
  return fault.isFatal ? bootAgain() : peer;
}

async function leave(): Promise<void> {
  await station?.peer.kill();
  station = undefined;
  await lab.close();
}

beforeEach(() => {
  ledger = new CallLedger(expect.getState().currentTestName?.replaceAll(/\W+/g, '-'));
  isRestored = false;
});
afterEach(async () => {
  // A test that failed halfway leaves nothing to the next.
  if (!isRestored) await leave();
});
afterAll(() => {
  figures.print();
});

describeOnHosts('a client finds out about its server', () => {
  afterAll(leave);

  const bootServer = (host: LabHost): Promise<AppProcess> =>
    boot(host, 'echo-service', { host: host.address, port: PORT, heartbeat } satisfies PooledTcpServerOptions);

  async function serverHost(): Promise<Station> {
    if (station !== undefined) return station;
    const host = await lab.host();
    station = { host, peer: await bootServer(host) };
    return station;
  }

  it('alive: nothing is lost, however long it is silent', async () => {
    const { host } = await serverHost();
    const client = scope.client(PORT, { ...CLIENT, host: host.address });
    await client.connect();
    const held = ledger.request(client, { pattern: 'hold', timeoutMs: Infinity });
    const roundTrips = new Set<number>();
    await until(() => {
      const { roundTripMs } = client.stats().endpoints[0] ?? {};
      if (typeof roundTripMs === 'number') roundTrips.add(roundTripMs);
      return roundTrips.size === 3;
    });
    expect(client.stats()).toMatchObject({ created: 2, total: 2, inFlight: 1, closed: { lost: 0, invalid: 0 } });
    expect(ledger.pending).toBe(1);
    client.destroy();
    await held;
    isRestored = true;
  }, 20_000);

  it.each(possible)(
    '$state: calls in flight fail at once, sent, and the pool comes back',
    async (fault) => {
      const here = await serverHost();
      const { host } = here;
      const client = scope.client(PORT, { ...CLIENT, host: host.address });
      await client.connect();
      const calls = Array.from({ length: CALLS }, () =>
        ledger.request(client, { pattern: 'hold', timeoutMs: Infinity }),
      );
      await until(() => ledger.handledCalls === CALLS);

      const brokenAt = performance.now();
      const begun = fault.begin(host, here.peer);
      const failed = await Promise.all(calls);
      const detectedMs = performance.now() - brokenAt;
      await begun;
      figures.add('client', fault.state, detectedMs, String(failed[0]?.code));
      expect(detectedMs).toBeLessThan(Infinity);
      expect(failed.filter(({ state }) => state !== 'failed-sent')).toEqual([]);
      expect(failed.filter(({ code }) => !fault.codes.includes(String(code)))).toEqual([]);
      // Nothing can be sent now, and that is what the caller is told.
      await expect(ledger.request(client, { timeoutMs: 200 })).resolves.toMatchObject({ state: 'failed-unsent' });

      here.peer = await restore(fault, here, () => bootServer(host));
      await until(() => client.stats().total === 2);
      await expect(ledger.request(client)).resolves.toMatchObject({ state: 'answered' });
      await until(() => ledger.handledCalls === CALLS + 1);
      expect(ledger.report()).toMatchObject({ ...NO_DEFECTS, answered: 1, failedSent: CALLS, failedUnsent: 1 });
      isRestored = true;
    },
    20_000,
  );
});

describeOnHosts('a server finds out about its client', () => {
  afterAll(leave);

  async function callerHost(): Promise<Station> {
    if (station !== undefined) return station;
    const host = await lab.host();
    station = { host, peer: await boot(host, 'caller') };
    return station;
  }

  it.each(possible)(
    '$state: handlers are told, and the connections are gone',
    async (fault) => {
      const { controller, log } = holdController(ledger);
      const here = await callerHost();
      const { port, strategy } = await scope.server([controller], { host: here.host.outside, heartbeat });
      const options = { ...CLIENT, host: here.host.outside, port };
      const tags = Array.from({ length: CALLS }, () => ledger.open().tag);
      await here.peer.ask({ options, tags } satisfies CallerTask);
      await until(() => log.held.size === CALLS);
      const { accepted } = strategy.stats();

      const brokenAt = performance.now();
      const begun = fault.begin(here.host, here.peer);
      await until(() => log.reasons.length === CALLS);
      const detectedMs = performance.now() - brokenAt;
      await begun;
      figures.add('server', fault.state, detectedMs, String(log.reasons[0]));
      expect(detectedMs).toBeLessThan(Infinity);
      expect(log.reasons.filter((code) => !fault.codes.includes(code))).toEqual([]);
      expect(strategy.stats()).toMatchObject({ accepted, connections: 0, inFlight: 0 });

      here.peer = await restore(fault, here, () => boot(here.host, 'caller'));
      if (fault.isFatal) await here.peer.ask({ options, tags: [] } satisfies CallerTask);
      await until(() => strategy.stats().connections === 2);
      expect(ledger.report()).toMatchObject({ handledTwice: 0, unknownHandled: 0, handled: CALLS });
      isRestored = true;
    },
    20_000,
  );
});

describe.skip('without a firewall', () => {
  if (impossible.length > 0) it.each(impossible)('$state', () => undefined);
});
