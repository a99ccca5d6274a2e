import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PooledTcpClient } from '../../lib/index.js';
import { CallLedger, NO_DEFECTS } from '../support/call-ledger.js';
import { Figures } from '../support/figures.js';
import { Load } from '../support/load.js';
import { Scope } from '../support/nest-app.js';
import { ServerFleet } from '../support/server-fleet.js';
import { until } from '../support/sockets.js';

/** Three servers in processes of their own under 256 concurrent calls, one of which is lost. */
const heartbeat = { intervalMs: 200, timeoutMs: 100 };
const CONCURRENT = 256;
const CALLS_BEFORE = 800;
const CALLS_AFTER = 1_200;

const scope = new Scope();
const figures = new Figures(`Three servers under ${CONCURRENT} concurrent calls, one is lost`, [
  'how',
  'idempotent',
  'calls',
  'in flight on it',
  'given to it until the loss showed',
  'failed, sent',
  'failed, unsent',
  'sent again',
  'failed, begun later',
  'gone after ms',
]);
afterAll(() => {
  figures.print();
});

let ledger: CallLedger;
let servers: ServerFleet;
let client: PooledTcpClient;

beforeEach(async () => {
  ledger = new CallLedger();
  // Their own heartbeat stays slow: on a loaded machine a caller may well be late by 100 ms.
  servers = await ServerFleet.start(3, ledger.handled);
  client = scope.client(undefined, {
    endpoints: servers.addresses,
    heartbeat,
    pool: { connectTimeoutMs: 300 },
    backoff: { initialMs: 20, maxMs: 200 },
  });
  await client.connect();
}, 30_000);
afterEach(() => servers.kill());

describe('one of three servers', () => {
  it.each([
    ['SIGKILL', 'only calls in flight on it fail, and none once the pool has noticed', false],
    ['SIGSTOP', 'only calls in flight on it fail, and none once the pool has noticed', false],
    ['SIGKILL', 'no idempotent call fails', true],
    ['SIGSTOP', 'no idempotent call fails', true],
  ] as const)(
    '%s: %s',
    async (signal, _, idempotent) => {
      const victim = servers.at(0);
      const onVictim = (): { total: number; inFlight: number } => {
        const [endpoint] = client.stats().endpoints;
        return endpoint ?? { total: 0, inFlight: 0 };
      };
      const load = new Load(ledger, client, CONCURRENT, { data: { delayMs: 20 }, idempotent });
      await until(() => client.stats().requests > CALLS_BEFORE);

      const { inFlight } = onVictim();
      victim.signal(signal);
      const lostAt = performance.now();
      await until(() => onVictim().total === 0);
      const noticedAt = performance.now();
      const atNotice = client.stats().requests;
      await until(() => client.stats().requests > atNotice + CALLS_AFTER);
      await load.stop();

      const failed = ledger.entries.filter(({ state }) => state !== 'answered');
      const firstFailureAt = Math.min(...failed.map(({ settledAt = Infinity }) => settledAt));
      // What was given to it until the first loss showed was in flight on it as well.
      const given = failed.filter(({ startedAt }) => startedAt > lostAt && startedAt <= firstFailureAt).length;
      const begunLater = failed.filter(({ startedAt }) => startedAt > firstFailureAt);
      const failedLater = failed.filter(({ startedAt }) => startedAt > noticedAt);
      if (signal === 'SIGSTOP') victim.signal('SIGCONT');
      if (signal === 'SIGSTOP') await until(() => onVictim().total >= 2);
      // The books are complete when what the servers wrote has been read, to the end.
      await servers.kill();
      const report = ledger.report();
      const how = signal === 'SIGKILL' ? 'kill -9' : 'kill -STOP';
      figures.add(
        how,
        idempotent ? 'yes' : 'no',
        report.calls,
        inFlight,
        idempotent ? '' : given,
        report.failedSent,
        report.failedUnsent,
        client.stats().retries,
        begunLater.length,
        noticedAt - lostAt,
      );
      // What was sent again may have run twice: that is what idempotent allows.
      const { handledTwice, ...never } = NO_DEFECTS;
      expect(report).toMatchObject(idempotent ? never : { ...never, handledTwice });
      if (idempotent) expect(failed).toEqual([]);
      expect(failed.filter(({ peer }) => peer !== `127.0.0.1:${victim.ready.port}`)).toEqual([]);
      expect(failed.length).toBeLessThanOrEqual(inFlight + given);
      // The loss of one connection puts the other in doubt: nothing is sent into it.
      expect(begunLater).toEqual([]);
      expect(failedLater).toEqual([]);
      // On a loaded machine the heartbeat may be quicker than the kernel, which closes what a killed process had open.
      const codes = ['PTCP_HEARTBEAT_TIMEOUT', ...(signal === 'SIGKILL' ? ['PTCP_CONNECTION_LOST'] : [])];
      expect(failed.filter(({ code }) => !codes.includes(String(code)))).toEqual([]);
    },
    30_000,
  );
});
