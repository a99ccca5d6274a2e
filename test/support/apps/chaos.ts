import { Controller, Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { PooledTcpClient, PooledTcpServer, type ClientStats } from '../../../lib/index.js';
import { FaultProxy } from '../../../lib/testing/index.js';
import { seededRandom } from '../../../lib/testing/random.js';
import { moduleOf } from '../app-module.js';
import { CallLedger, type LedgerReport } from '../call-ledger.js';
import { CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY } from '../certificates.js';
import { Chaos } from '../chaos.js';
import { collectGarbage } from '../collect-garbage.js';

export interface ChaosTask {
  readonly seed: number;
  readonly durationMs: number;
  /** With TLS, bytes are damaged too. */
  readonly hasTls: boolean;
}

/** What a run of chaos comes to. */
export interface ChaosReport {
  readonly ledger: LedgerReport;
  readonly faults: Readonly<Record<string, number>>;
  readonly codes: Readonly<Record<string, number>>;
  /** Connections opened since start. */
  readonly created: number;
  /** Connections to each endpoint once all was quiet; `pool.min` is 2. */
  readonly totals: readonly number[];
  /** Unhandled rejections and uncaught exceptions. */
  readonly unhandled: readonly string[];
  /** Handles and timers, before anything was made and after all was closed. */
  readonly resources: { readonly before: readonly string[]; readonly after: readonly string[] };
  /** Heap after a full collection, when a tenth of the time had passed and at the end. */
  readonly heapMiB: { readonly early: number; readonly late: number };
}

const SERVERS = 3;
const CALLERS = 32;
/** Far beyond every timeout of the client below: what has not happened by then never will. */
const PATIENCE_MS = 15_000;

/**
 * Three servers, a proxy before each, one client, and chaos between them. A process of its own, so that unhandled
 * rejections are those of the process and handles are nobody else's.
 */
Logger.overrideLogger(false);
const unhandled: string[] = [];
process.on('unhandledRejection', (error) => unhandled.push(`unhandled rejection: ${String(error)}`));
process.on('uncaughtException', (error) => unhandled.push(`uncaught exception: ${error.stack ?? error.message}`));
process.on('disconnect', () => process.exit(0));

const task = JSON.parse(process.argv[2] ?? '{}') as ChaosTask;
const ledger = new CallLedger();

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: { tag: string }): unknown {
    ledger.handled(data.tag);
    return data;
  }
}

function activeResources(): string[] {
  return process.getActiveResourcesInfo().sort();
}

async function patience(condition: () => boolean): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (!condition() && performance.now() < until) {
    await delay(5);
    // This timer is no longer among the process's own by then.
    await nextTurn();
  }
}

function heapMiB(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

async function startServer(): Promise<{ port: number; close(): Promise<void> }> {
  const tls = task.hasTls ? { key: SERVER_KEY, cert: SERVER_CERTIFICATE } : undefined;
  const strategy = new PooledTcpServer({
    host: '127.0.0.1',
    port: 0,
    tls,
    heartbeat: { intervalMs: 200, timeoutMs: 200 },
    firstFrameTimeoutMs: 500,
  });
  const app = await NestFactory.createMicroservice(moduleOf([EchoController]), { strategy, logger: false });
  await app.listen();
  return { port: (strategy.unwrap().address() as AddressInfo).port, close: () => app.close() };
}

async function run({ seed, durationMs, hasTls }: ChaosTask): Promise<ChaosReport> {
  const before = activeResources();
  const random = seededRandom(seed);
  const servers = await Promise.all(Array.from({ length: SERVERS }, startServer));
  const proxies = await Promise.all(
    servers.map(({ port }, i) => FaultProxy.listen({ target: { host: '127.0.0.1', port }, seed: seed + 1000 * i })),
  );
  const client = new PooledTcpClient({
    endpoints: proxies.map(({ port }) => `127.0.0.1:${port}`),
    ...(hasTls ? { tls: { ca: CA_CERTIFICATE } } : {}),
    heartbeat: { intervalMs: 200, timeoutMs: 200 },
    requestTimeoutMs: 2_000,
    pool: { min: 2, max: 4, connectTimeoutMs: 500, acquireTimeoutMs: 1_000, idleTimeoutMs: 300 },
    backoff: { initialMs: 10, maxMs: 100 },
  });
  await client.connect();

  const chaos = new Chaos(proxies, random, { corrupts: hasTls });
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  let early: number | undefined;
  const callers = Array.from({ length: CALLERS }, async (_, i) => {
    while (elapsed() < durationMs) {
      const data = { filling: 'x'.repeat(Math.floor(random() ** 8 * 200_000)) };
      await (i % 2 === 0 ? ledger.request(client, { data }) : ledger.send(client, { data }));
      await delay(random() * 10);
    }
  });
  const codes: Record<string, number> = {};
  while (elapsed() < durationMs) {
    await delay(await chaos.step());
    ledger.fold();
    if (elapsed() > durationMs / 10) early ??= heapMiB();
  }
  await chaos.end();
  await Promise.race([Promise.all(callers), delay(PATIENCE_MS, undefined, { ref: false })]);
  for (const { code } of ledger.entries) if (code !== undefined) codes[code] = (codes[code] ?? 0) + 1;

  const totals = (): number[] => client.stats().endpoints.map(({ total }) => total);
  const isQuiet = ({ connecting, inFlight, waiting }: ClientStats): boolean => connecting + inFlight + waiting === 0;
  await patience(() => isQuiet(client.stats()) && totals().every((total) => total === 2));
  const atRest = totals();
  const late = heapMiB();
  const { created } = client.stats();

  await client.close();
  for (const server of servers) await server.close();
  for (const proxy of proxies) await proxy.close();
  await patience(() => activeResources().length <= before.length);
  return {
    ledger: ledger.report(),
    faults: chaos.counts,
    codes,
    created,
    totals: atRest,
    unhandled,
    resources: { before, after: activeResources() },
    heapMiB: { early: early ?? NaN, late },
  };
}

process.send?.(await run(task));
