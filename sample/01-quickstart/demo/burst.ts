import { PooledTcpError, type PooledTcpClient } from '../../../lib/index.js';
import type { BurstReport, Latency } from './messages.js';

export interface BurstOptions {
  readonly calls: number;
  /** Calls in flight at a time. */
  readonly concurrency: number;
  /** Told some fifty times how many calls are done. */
  readonly onProgress?: (done: number) => void;
}

/** Calls `sum` as fast as the answers come, and checks every one of them. */
export async function burst(
  math: PooledTcpClient,
  { calls, concurrency, onProgress }: BurstOptions,
): Promise<BurstReport> {
  const latencies = new Float64Array(calls);
  const step = Math.ceil(calls / 50);
  const before = math.stats();
  let halfway = before;
  let next = 0;
  let done = 0;
  let failed = 0;
  let firstError: string | undefined;

  const call = async (i: number): Promise<void> => {
    const sum = await math.request<number>('sum', [i, 1]);
    if (sum !== i + 1) throw new Error(`sum of ${i} and 1 came back as ${sum}`);
  };
  const caller = async (): Promise<void> => {
    while (next < calls && !math.isShuttingDown) {
      const i = next++;
      const startedAt = performance.now();
      await call(i).catch((error: unknown) => {
        failed += 1;
        firstError ??= describe(error);
      });
      latencies[i] = performance.now() - startedAt;
      done += 1;
      if (done === Math.floor(calls / 2)) halfway = math.stats();
      if (done % step === 0 || done === calls) onProgress?.(done);
    }
  };

  const startedAt = performance.now();
  await Promise.all(Array.from({ length: concurrency }, caller));
  const elapsedMs = performance.now() - startedAt;
  return {
    calls: done,
    failed,
    error: firstError,
    elapsedMs,
    latency: percentiles(latencies.subarray(0, done)),
    pool: { before, halfway, after: math.stats() },
  };
}

/** By nearest rank. */
export function percentiles(latencies: Float64Array): Latency {
  const sorted = latencies.toSorted();
  const at = (part: number): number => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

function describe(error: unknown): string {
  if (error instanceof PooledTcpError) return `${error.message} (${error.code})`;
  return error instanceof Error ? error.message : String(error);
}
