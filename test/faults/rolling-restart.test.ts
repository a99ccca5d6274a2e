import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { CallLedger, NO_DEFECTS } from '../support/call-ledger.js';
import { Figures } from '../support/figures.js';
import { Load } from '../support/load.js';
import { Scope } from '../support/nest-app.js';
import { ServerFleet } from '../support/server-fleet.js';
import { until } from '../support/sockets.js';

const ROUNDS = Number(process.env['RESTART_ROUNDS'] ?? 2);
const CONCURRENT = Number(process.env['RESTART_CALLERS'] ?? 128);
const scope = new Scope();
const figures = new Figures(`Three servers, each restarted ${ROUNDS} times under load, one after the other`, [
  'concurrent calls',
  'calls',
  'failed',
  'handled twice',
  'moved unsent',
  'connections opened',
]);
afterAll(() => {
  figures.print();
});
let fleet: ServerFleet | undefined;
afterEach(async () => {
  await fleet?.kill();
  fleet = undefined;
});

describe('a rolling restart of all three servers', () => {
  it(
    'fails no call and doubles none, although none is idempotent',
    async () => {
      const concurrent = CONCURRENT;
      const ledger = new CallLedger();
      fleet = await ServerFleet.start(3, ledger.handled);
      const client = scope.client(undefined, {
        endpoints: fleet.addresses,
        backoff: { initialMs: 20, maxMs: 200 },
      });
      await client.connect();
      const load = new Load(ledger, client, concurrent, { data: { delayMs: 40 } });
      const acquiredAt = (i: number): number => client.stats().endpoints[i]?.acquired ?? 0;
      await until(() => client.stats().requests > 2 * concurrent);
      for (let round = 0; round < ROUNDS; round++) {
        for (let i = 0; i < fleet.size; i++) {
          await fleet.restart(i);
          // A deployment goes on when the new one serves.
          const before = acquiredAt(i);
          await until(() => acquiredAt(i) > before + 10);
        }
      }
      await load.stop();
      const { created, retries } = client.stats();
      await fleet.kill();
      const report = ledger.report();
      const failed = report.failedSent + report.failedUnsent;
      figures.add(concurrent, report.calls, failed, report.handledTwice, retries, created);
      expect(ledger.entries.filter(({ state }) => state !== 'answered')).toEqual([]);
      expect(report).toMatchObject({ ...NO_DEFECTS, answered: report.calls, handled: report.calls });
    },
    30_000 + 60_000 * ROUNDS,
  );
});
