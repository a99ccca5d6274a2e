import { Contest } from './contest.js';
import type { Summary } from './measure.js';
import type { BenchOptions } from './options.js';
import type { Pair } from './peer.js';

export const MIXED_IN_FLIGHT = 64;
/** Large calls are rare: a round takes longer until it has seen enough of them. */
const DURATION_FACTOR = 3;
const CONTENDERS = ['ours-request', 'stock', 'bare', 'bare-4'];

export interface MixedResult {
  readonly contender: string;
  /** Small calls alone, and with one large reply in a hundred. */
  readonly alone: Summary | undefined;
  readonly text: Summary | undefined;
  readonly buffer: Summary | undefined;
}

/** Small calls, of which one in a hundred is answered with 4 MiB: what that does to the others. */
export async function benchMixed(pairs: readonly Pair[], options: BenchOptions): Promise<readonly MixedResult[]> {
  const taking = pairs.filter(({ contender }) => CONTENDERS.includes(contender));
  const run = async (large: 'text' | 'buffer' | undefined): Promise<ReadonlyMap<string, Summary>> => {
    const durationMs = options.durationMs * DURATION_FACTOR;
    const contest = new Contest(taking, { payload: '150B', inFlight: MIXED_IN_FLIGHT, durationMs, large });
    await contest.begin();
    for (let round = 0; round <= options.rounds; round++) await contest.round();
    return contest.results();
  };
  const alone = await run(undefined);
  const text = await run('text');
  const buffer = await run('buffer');
  const results = taking.map(({ contender }) => ({
    contender,
    alone: alone.get(contender),
    text: text.get(contender),
    buffer: buffer.get(contender),
  }));
  for (const result of results) {
    const p99 = (summary: Summary | undefined): string => `${summary?.latency.p99.toFixed(1) ?? 'no'} ms`;
    console.log(
      `mixed: ${result.contender} p99 ${p99(result.alone)} alone, ${p99(result.text)} with text, ${p99(result.buffer)} with Buffers`,
    );
  }
  return results;
}
