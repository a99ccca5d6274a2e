import { median } from '../report.js';
import { Peer } from './peer.js';
import type { ColdQuestion, ColdResult, Latency } from './questions.js';

const CONTENDER = 'ours-request';
const BOOTS = 3;

export interface ColdSummary {
  readonly prewarm: ColdQuestion['prewarm'];
  readonly atOnce: boolean;
  readonly first: Latency;
  readonly steady: Latency;
}

/** The first hundred calls after boot over TLS, in a fresh process each time. */
export async function benchCold(): Promise<readonly ColdSummary[]> {
  const server = new Peer(CONTENDER);
  const summaries: ColdSummary[] = [];
  try {
    const { port } = await server.ask('listenTls', {});
    for (const atOnce of [true, false]) {
      for (const prewarm of ['required', false] as const) {
        const boots: ColdResult[] = [];
        for (let boot = 0; boot < BOOTS; boot++) boots.push(await bootOnce({ port, prewarm, atOnce }));
        const summary = {
          prewarm,
          atOnce,
          first: medians(boots.map(({ first }) => first)),
          steady: medians(boots.map(({ steady }) => steady)),
        };
        summaries.push(summary);
        console.log(
          `cold: prewarm ${String(prewarm)}, ${atOnce ? 'at once' : 'one by one'}: p99 ${summary.first.p99.toFixed(1)} ms, slowest ${summary.first.max.toFixed(1)} ms, steady p99 ${summary.steady.p99.toFixed(1)} ms`,
        );
      }
    }
  } finally {
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
