import { Latencies } from './latency.js';
import { describe, RARE_EVERY, type LoadPlan, type LoadResult } from './load.js';
import { takeSample } from './sample.js';

export interface PacedPlan extends Omit<LoadPlan, 'inFlight'> {
  readonly callsPerSecond: number;
}

/** Timers come up to this much late; what is due sooner is waited for by looking at the clock. */
const TIMER_MS = 2;

/**
 * An open loop: calls begin at a fixed rate, whether or not earlier ones have been answered, and each is measured
 * from the moment at which it should have begun. A closed loop stops asking just when answers are slow, and so
 * leaves out the calls that would have waited longest.
 */
export function runPaced(plan: PacedPlan, connections: () => number): Promise<LoadResult> {
  const { call, rare, callsPerSecond, durationMs, stallMs } = plan;
  const count = Math.ceil((callsPerSecond * durationMs) / 1000);
  const intervalMs = 1000 / callsPerSecond;
  const latencies = new Latencies();
  let started = 0;
  let rareCalls = 0;
  let failures = 0;
  let failure: string | undefined;
  const cpuBefore = takeSample().cpuMicros;
  const startedAt = performance.now();
  let answeredAt = startedAt;

  return new Promise((resolve) => {
    const finish = (outcome: LoadResult['outcome']): void => {
      clearInterval(watchdog);
      const { cpuMicros, rssBytes } = takeSample();
      resolve({
        outcome,
        failure,
        calls: latencies.size,
        rareCalls,
        seconds: (performance.now() - startedAt) / 1000,
        latency: latencies.summary(),
        cpuMicros: cpuMicros - cpuBefore,
        rssBytes,
        connections: connections(),
      });
    };
    const watchdog = setInterval(() => {
      if (performance.now() - answeredAt >= stallMs) finish('stalled');
    }, 250);

    const begin = (dueAt: number): void => {
      started += 1;
      const isRare = rare !== undefined && started % RARE_EVERY === 0;
      (isRare ? rare : call)((error) => {
        answeredAt = performance.now();
        if (error !== undefined) {
          failures += 1;
          failure ??= describe(error);
        } else if (isRare) rareCalls += 1;
        else latencies.add(answeredAt - dueAt);
        if (latencies.size + rareCalls + failures === count) finish(failures === 0 ? 'done' : 'failed');
      });
    };
    const pace = (): void => {
      while (started < count && startedAt + started * intervalMs <= performance.now())
        begin(startedAt + started * intervalMs);
      if (started === count) return;
      const waitMs = startedAt + started * intervalMs - performance.now();
      if (waitMs > TIMER_MS) setTimeout(pace, waitMs - TIMER_MS);
      else setImmediate(pace);
    };
    pace();
  });
}
