import { median } from '../report.js';
import { Peer } from './peer.js';
import type { ColdQuestion, ColdResult, Latency } from './questions.js';
import { SlowConnect } from './slow-connect.js';

const CONTENDER = 'ours-request';
export const COLD_BOOTS = 5;
export const SLOW_CONNECT_MS = 20;

/** What makes a new connection slow: TLS, or a peer that is slow to accept. */
export type ColdPath = 'tls' | 'slow-connect';

/** How the first hundred calls come: all at once, or each after the one before. */
export type ColdOrder = 'at once' | 'one by one';

export interface ColdSummary {
  readonly path: ColdPath;
  readonly prewarm: ColdQuestion['prewarm'];
  readonly order: ColdOrder;
  readonly first: Latency;
  readonly steady: Latency;
}

/**
 * The first hundred calls after boot, in a fresh process each time. One by one shows what a connection costs that is
 * not there yet. All at once is a burst in which a hundred calls wait for the same first, uncompiled run of the code:
 * it shows the process that wakes up more than the pool.
 */
export async function benchCold(): Promise<readonly ColdSummary[]> {
  return [...(await benchPath('tls')), ...(await benchPath('slow-connect'))];
}

async function benchPath(path: ColdPath): Promise<readonly ColdSummary[]> {
  const server = new Peer(CONTENDER);
  let relay: SlowConnect | undefined;
  const summaries: ColdSummary[] = [];
  try {
    const { port } = await server.ask(path === 'tls' ? 'listenTls' : 'listen', {});
    if (path === 'slow-connect') relay = await SlowConnect.open(port, SLOW_CONNECT_MS);
    const plan = { port: relay?.port ?? port, tls: path === 'tls' };
    // The server is to be warm: it is the client's first calls that are measured.
    await bootOnce({ ...plan, prewarm: 'required', order: 'at once' });
    for (const order of ['at once', 'one by one'] as const) {
      for (const prewarm of ['required', false] as const) {
        const boots: ColdResult[] = [];
        for (let boot = 0; boot < COLD_BOOTS; boot++) boots.push(await bootOnce({ ...plan, prewarm, order }));
        const summary = {
          path,
          prewarm,
          order,
          first: medians(boots.map(({ first }) => first)),
          steady: medians(boots.map(({ steady }) => steady)),
        };
        summaries.push(summary);
        console.log(
          `cold, ${path}: prewarm ${String(prewarm)}, ${order}: p99 ${summary.first.p99.toFixed(1)} ms, slowest ${summary.first.max.toFixed(1)} ms, steady p99 ${summary.steady.p99.toFixed(1)} ms`,
        );
      }
    }
  } finally {
    await relay?.close();
    await server.stop();
  }
  return summaries;
}

async function bootOnce(question: ColdQuestion): Promise<ColdResult> {
  const client = new Peer(CONTENDER);
  try {
    return await client.ask('cold', question);
  } finally {
    await client.stop();
  }
}

function medians(latencies: readonly Latency[]): Latency {
  const of = (key: keyof Latency): number => median(latencies.map((latency) => latency[key]));
  return { p50: of('p50'), p99: of('p99'), p999: of('p999'), max: of('max') };
}
