import type { Call } from './contenders/contender.js';
import { Latencies } from './latency.js';
import type { Latency } from './questions.js';
import { takeSample } from './sample.js';

export interface LoadPlan {
  readonly call: Call;
  /** One call in {@link RARE_EVERY} is this one; its latency is not counted. */
  readonly rare?: Call | undefined;
  readonly inFlight: number;
  readonly durationMs: number;
  readonly stallMs: number;
}

export interface LoadResult {
  /** `stalled`: no answer for so long that none will come. `failed`: a call ended with an error. */
  readonly outcome: 'done' | 'stalled' | 'failed';
  readonly failure?: string | undefined;
  readonly calls: number;
  readonly rareCalls: number;
  readonly seconds: number;
  readonly latency: Latency;
  /** CPU of this process from the first call to the last answer, in microseconds. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly connections: number;
}

export const RARE_EVERY = 100;

/**
 * A closed loop: so many calls in flight, each answer starts the next, and at the end what is in flight is waited
 * for and counted.
 */
export function runLoad(plan: LoadPlan, connections: () => number): Promise<LoadResult> {
  const { call, rare, inFlight, durationMs, stallMs } = plan;
  const latencies = new Latencies();
  let started = 0;
  let rareCalls = 0;
  let active = inFlight;
  let failure: string | undefined;
  const cpuBefore = takeSample().cpuMicros;
  const startedAt = performance.now();
  const endAt = startedAt + durationMs;

  return new Promise((resolve) => {
    const finish = (outcome: LoadResult['outcome']): void => {
      const seconds = (performance.now() - startedAt) / 1000;
      const { cpuMicros, rssBytes } = takeSample();
      clearInterval(watchdog);
      resolve({
        outcome,
        failure,
        calls: latencies.size,
        rareCalls,
        seconds,
        latency: latencies.summary(),
        cpuMicros: cpuMicros - cpuBefore,
        rssBytes,
        connections: connections(),
      });
    };

    let seen = 0;
    let seenAt = startedAt;
    const watchdog = setInterval(() => {
      const answered = latencies.size + rareCalls;
      const now = performance.now();
      if (answered !== seen) {
        seen = answered;
        seenAt = now;
      } else if (now - seenAt >= stallMs) finish('stalled');
    }, 250);

    const next = (): void => {
      const at = performance.now();
      const isRare = rare !== undefined && ++started % RARE_EVERY === 0;
      (isRare ? rare : call)((error) => {
        const now = performance.now();
        if (error !== undefined) {
          failure ??= describe(error);
          leave();
          return;
        }
        if (isRare) rareCalls += 1;
        else latencies.add(now - at);
        if (now < endAt) next();
        else leave();
      });
    };
    const leave = (): void => {
      active -= 1;
      if (active === 0) finish(failure === undefined ? 'done' : 'failed');
    };
    for (let i = 0; i < inFlight; i++) next();
  });
}

export function describe(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error);
  return 'code' in error ? `${String(error.code)}: ${error.message}` : error.message;
}
