import { Pair } from './peer.js';

export const FLOOD_CALLS = 1_000;
const LIMIT_MS = 6_000;
const CONTENDERS = ['ours-request', 'ours-stock-wire', 'stock', 'bare'];

export interface FloodResult {
  readonly contender: string;
  readonly answered: number;
  readonly ms: number;
}

/** A thousand echoes of 16 KiB at once on one connection: more than both kernels' buffers hold. */
export async function benchFlood(wanted: readonly string[]): Promise<readonly FloodResult[]> {
  const results: FloodResult[] = [];
  for (const contender of CONTENDERS.filter((name) => wanted.includes(name))) {
    const pair = new Pair(contender, { connections: 1 });
    try {
      await pair.start();
      const result = await pair.client.ask('flood', { calls: FLOOD_CALLS, limitMs: LIMIT_MS });
      results.push({ contender, ...result });
      console.log(`flood: ${contender} answered ${result.answered} of ${FLOOD_CALLS} in ${result.ms.toFixed(0)} ms`);
    } finally {
      await pair.stop();
    }
  }
  return results;
}
