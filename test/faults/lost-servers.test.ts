import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PooledTcpClient } from '../../lib/index.js';
import { AppProcess } from '../support/app-process.js';
import { CallLedger, NO_DEFECTS } from '../support/call-ledger.js';
import { Figures } from '../support/figures.js';
import { Scope } from '../support/nest-app.js';
import { until } from '../support/sockets.js';

/** Three servers in processes of their own under 256 concurrent calls, one of which is lost. */
const heartbeat = { intervalMs: 200, timeoutMs: 100 };
const CONCURRENT = 256;
const CALLS_BEFORE = 1_000;
const CALLS_AFTER = 1_500;

const scope = new Scope();
const figures = new Figures(`Three servers under ${CONCURRENT} concurrent calls, one is lost`, [
  'how',
  'calls',
  'in flight on it',
  'failed, sent',
  'failed, unsent',
  'failed, begun after the first failure',
  'noticed after ms',
  'failed, begun after it was noticed',
]);
afterAll(() => {
  figures.print();
});

let ledger: CallLedger;
let servers: AppProcess<{ port: number }>[];
let client: PooledTcpClient;

beforeEach(async () => {
  ledger = new CallLedger();
  servers = await Promise.all(
    [1, 2, 3].map(() =>
      AppProcess.start<{ port: number }>({
        app: 'echo-service',
        // Its own heartbeat stays slow: on a loaded machine a caller may well be late by 100 ms.
        args: ['{}'],
        onLine: ledger.handled,
      }),
    ),
  );
  client = scope.client(undefined, {
    endpoints: servers.map(({ ready }) => `127.0.0.1:${ready.port}`),
    heartbeat,
    pool: { connectTimeoutMs: 300 },
    backoff: { initialMs: 20, maxMs: 200 },
  });
  await client.connect();
}, 30_000);
afterEach(() => Promise.all(servers.map((server) => server.kill())));

/** As many callers as are concurrent, each with one call after the other. */
class Load {
  #isOn = true;
  readonly #callers: Promise<void>[];

  constructor() {
    this.#callers = Array.from({ length: CONCURRENT }, async () => {
      while (this.#isOn) {
        await ledger.request(client, { data: { delayMs: 5 } });
      }
    });
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#callers);
  }
}

describe('one of three servers', () => {
  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    '%s: only calls in flight on it fail, and none once the pool has noticed',
    async (signal) => {
      const [victim] = servers;
      if (victim === undefined) throw new Error('no server');
      const onVictim = (): { total: number; inFlight: number } => {
        const [endpoint] = client.stats().endpoints;
        return endpoint ?? { total: 0, inFlight: 0 };
      };
      const load = new Load();
      await until(() => ledger.entries.length > CALLS_BEFORE);

      const { inFlight } = onVictim();
      victim.signal(signal);
      const lostAt = performance.now();
      await until(() => onVictim().total === 0);
      const noticedAt = performance.now();
      const atNotice = ledger.entries.length;
      await until(() => ledger.entries.length > atNotice + CALLS_AFTER);
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
      await Promise.all(servers.map((server) => server.kill()));
      const report = ledger.report();
      const how = signal === 'SIGKILL' ? 'kill -9' : 'kill -STOP';
      figures.add(
        how,
        report.calls,
        inFlight,
        report.failedSent,
        report.failedUnsent,
        begunLater.length,
        noticedAt - lostAt,
        failedLater.length,
      );
      expect(report).toMatchObject(NO_DEFECTS);
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
