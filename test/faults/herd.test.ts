import { afterAll, describe, expect, it } from '@jest/globals';
import { CallLedger } from '../support/call-ledger.js';
import { Figures } from '../support/figures.js';
import { holdController } from '../support/hold-controller.js';
import { Scope } from '../support/nest-app.js';
import { until } from '../support/sockets.js';

const CLIENTS = 20;
const MIN = 4;
const BUCKET_MS = 100;
const scope = new Scope();
const figures = new Figures(
  `Connections per ${BUCKET_MS} ms when a server returns to ${CLIENTS} clients with min ${MIN}`,
  ['down for ms', 'connections by bucket', 'most in one bucket', 'opened in all'],
);
afterAll(() => {
  figures.print();
});

describe('a server that returns', () => {
  it(`is not met by all of ${CLIENTS} clients at once, and each opens no more than it needs`, async () => {
    const ledger = new CallLedger();
    const { controller } = holdController(ledger);
    const first = await scope.server([controller], { maxConnectionsPerHost: 0 });
    const clients = Array.from({ length: CLIENTS }, () =>
      scope.client(first.port, { pool: { min: MIN, max: MIN }, backoff: { initialMs: 100, maxMs: 800 } }),
    );
    await Promise.all(clients.map((client) => client.connect()));
    const downAt = performance.now();
    await first.close();
    // Every client has met the closed port, more than once: from here on each keeps its own time.
    await until(() => clients.every((client) => client.stats().endpoints[0]?.state === 'failing'));
    await until(() => performance.now() - downAt > 1_000);

    const second = await scope.server([controller], { port: first.port, maxConnectionsPerHost: 0 });
    const opened: number[] = [];
    /** When each client was back: the first of its connections. */
    const back: number[] = [];
    const upAt = performance.now();
    for (const client of clients) client.on('connect', () => back.push(performance.now() - upAt));
    second.netServer.on('connection', () => opened.push(performance.now() - upAt));
    await until(() => clients.every((client) => client.stats().total === MIN));
    const byBucket = (times: readonly number[]): number[] =>
      Array.from(
        { length: Math.floor(Math.max(...times) / BUCKET_MS) + 1 },
        (_, bucket) => times.filter((at) => Math.floor(at / BUCKET_MS) === bucket).length,
      );
    const counts = byBucket(opened);
    const returns = byBucket(back);
    figures.add(upAt - downAt, returns.join(' '), counts.join(' '), Math.max(...counts), opened.length);
    expect(opened).toHaveLength(CLIENTS * MIN);
    expect(back).toHaveLength(CLIENTS);
    // All lost it in the same moment; their backoff has spread them since.
    expect(Math.max(...returns)).toBeLessThanOrEqual((CLIENTS * 3) / 4);
    expect(returns.filter((count) => count > 0).length).toBeGreaterThan(2);
  }, 30_000);
});
