import { setTimeout as delay } from 'node:timers/promises';
import type { Load } from '../demo/messages.js';

export interface LoadReport {
  /** Of each call, in milliseconds. */
  readonly latencies: readonly number[];
  readonly failed: number;
  readonly error: string | undefined;
  readonly seconds: number;
}

/** Calls as the load says, and times each call. */
export async function run(load: Load, call: (i: number) => Promise<void>): Promise<LoadReport> {
  const latencies: number[] = [];
  let failed = 0;
  let firstError: string | undefined;
  const timed = async (i: number): Promise<void> => {
    const startedAt = performance.now();
    try {
      await call(i);
      latencies.push(performance.now() - startedAt);
    } catch (error) {
      failed += 1;
      firstError ??= error instanceof Error ? error.message : String(error);
    }
  };
  const startedAt = performance.now();
  await (load.kind === 'few' ? few(load, timed) : many(load, timed));
  return { latencies, failed, error: firstError, seconds: (performance.now() - startedAt) / 1_000 };
}

async function few({ perSecond, seconds }: Load & { kind: 'few' }, call: (i: number) => Promise<void>): Promise<void> {
  const calls: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let i = 0; i < perSecond * seconds; i++) {
    await delay(startedAt + (i * 1_000) / perSecond - performance.now());
    calls.push(call(i));
  }
  await Promise.all(calls);
}

async function many({ callers, seconds }: Load & { kind: 'many' }, call: (i: number) => Promise<void>): Promise<void> {
  const endsAt = performance.now() + seconds * 1_000;
  let i = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < endsAt) await call(i++);
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** By nearest rank. */
export function percentile(latencies: readonly number[], part: number): number {
  const sorted = latencies.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
}
