import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { ClientTCP } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import type { PooledTcpClient } from '../../lib/index.js';
import { CallLedger, NO_DEFECTS } from '../support/call-ledger.js';
import { Figures } from '../support/figures.js';
import { Scope } from '../support/nest-app.js';
import { Rotation, type Target } from '../support/rotation.js';
import { ServerFleet, type FleetServer } from '../support/server-fleet.js';
import { until } from '../support/sockets.js';

const CONCURRENT = 32;
/** Long enough for calls to be in flight at every moment. */
const DELAY_MS = 20;
const NATIVE: FleetServer = { options: { protocol: { protocol: 'native' } } };

const scope = new Scope();
let fleet: ServerFleet | undefined;
afterEach(async () => {
  await fleet?.kill();
  fleet = undefined;
});
const figures = new Figures(`From stock TCP to native, two servers, ${CONCURRENT} calls at a time`, [
  'what',
  'calls',
  'failed',
  'handled, but not answered',
]);
afterAll(() => {
  figures.print();
});

/** A stock client of one server, as stock clients are. */
function stockTarget(address: string): Target {
  const [host = '', port] = address.split(':');
  const client = new ClientTCP({ host, port: Number(port) });
  scope.defer(() => {
    client.close();
  });
  return { call: (data) => firstValueFrom(client.send('echo', { ...data, delayMs: DELAY_MS })) };
}

/** Our client of all servers. */
function pooledTarget(client: PooledTcpClient): Target {
  return { call: (data) => client.request('echo', { ...data, delayMs: DELAY_MS }) };
}

function record(what: string, ledger: CallLedger): void {
  const { calls, failedSent, failedUnsent } = ledger.report();
  const lost = ledger.entries.filter(({ state, handled }) => state !== 'answered' && handled > 0).length;
  figures.add(what, calls, failedSent + failedUnsent, lost);
}

describe('from stock TCP, in three steps under load', () => {
  it('fails no call and doubles none: servers, then clients, then native only, and back', async () => {
    const ledger = new CallLedger();
    const running = await ServerFleet.start(2, ledger.handled, {}, 'stock');
    fleet = running;
    const { addresses } = running;
    const stock = addresses.map(stockTarget);
    const load = new Rotation(ledger, CONCURRENT, stock);
    await load.answers(3 * CONCURRENT);

    // 1. Servers: each is taken out of the balancer, restarted as ours on its port, and put in again.
    for (const [i, target] of stock.entries()) {
      await load.takeOut(target);
      await running.restart(i, { kind: 'ours' });
      load.putIn(target);
      await load.answers(3 * CONCURRENT);
    }

    // 2. Clients: new instances with ours take over, the stock ones finish what they have.
    const client = scope.client(undefined, { endpoints: addresses, backoff: { initialMs: 20, maxMs: 200 } });
    await client.connect();
    const pooled = pooledTarget(client);
    load.putIn(pooled);
    await load.takeOut(...stock);
    await load.answers(3 * CONCURRENT);

    // 3. Native only: servers restart one after the other, and nobody is taken out by hand any more.
    for (const i of addresses.keys()) {
      await restartUnderLoad(running, client, i, NATIVE);
    }
    await expect(firstValueFrom(refusedClient(addresses[0]).send('echo', {}))).rejects.toMatchObject({
      code: 'PTCP_PROTOCOL_MISMATCH',
    });

    // And back: to both protocols, and to stock clients.
    for (const i of addresses.keys()) await restartUnderLoad(running, client, i, { kind: 'ours' });
    const again = addresses.map(stockTarget);
    load.putIn(...again);
    await load.takeOut(pooled);
    await load.answers(3 * CONCURRENT);

    await load.stop();
    await running.kill();
    record('in three steps, and back', ledger);
    const report = ledger.report();
    expect(ledger.entries.filter(({ state }) => state !== 'answered')).toEqual([]);
    expect(report).toMatchObject({ ...NO_DEFECTS, answered: report.calls, handled: report.calls });
  }, 120_000);
});

describe('what a restart in place costs stock clients', () => {
  it.each([
    ['a stock server restarted in place', 'stock', 'stock'],
    ['a stock server replaced in place by ours', 'stock', 'ours'],
    ['our server restarted in place', 'ours', 'ours'],
  ] as const)(
    '%s: calls meanwhile fail, and later ones do not',
    async (what, before, after) => {
      const ledger = new CallLedger();
      const running = await ServerFleet.start(1, ledger.handled, {}, before);
      fleet = running;
      const { addresses } = running;
      const load = new Rotation(ledger, CONCURRENT, addresses.map(stockTarget));
      await load.answers(3 * CONCURRENT);
      await running.restart(0, { kind: after });
      const back = ledger.report().calls;
      await load.answers(3 * CONCURRENT);
      await load.stop();
      await running.kill();
      record(what, ledger);
      const lost = ledger.entries.filter(({ state, handled }) => state !== 'answered' && handled > 0);
      // Our server answers what it has before it goes; stock Nest cuts it off.
      if (before === 'ours') expect(lost).toEqual([]);
      else expect(lost.length).toBeGreaterThan(0);
      const late = ledger.entries.slice(back + CONCURRENT);
      expect(late.length).toBeGreaterThan(0);
      expect(late.filter(({ state }) => state !== 'answered')).toEqual([]);
    },
    60_000,
  );
});

/** A deployment: the server drains and comes back, and the next one follows once this one serves. */
async function restartUnderLoad(running: ServerFleet, client: PooledTcpClient, i: number, as: FleetServer) {
  await running.restart(i, as);
  const acquired = (): number => client.stats().endpoints[i]?.acquired ?? 0;
  const before = acquired();
  await until(() => acquired() > before + 10);
}

function refusedClient(address = ''): ClientTCP {
  const [host = '', port] = address.split(':');
  const client = new ClientTCP({ host, port: Number(port) });
  scope.defer(() => {
    client.close();
  });
  return client;
}
