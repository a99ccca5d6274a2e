import { expect } from '@jest/globals';
import { resolveOptions } from '../../../lib/common/options.js';
import type { WholeLease } from '../../../lib/pool/lease.js';
import { Pool, type PoolOptionsInternal } from '../../../lib/pool/pool.js';
import { poolRules, type PoolOptions } from '../../../lib/pool/settings.js';
import type { CloseReason } from '../../../lib/pool/stats.js';
import { FakeFactory, type FakeResource } from '../../support/fake-factory.js';
import { settled, StepClock } from '../../support/step-clock.js';

export type TestPool = Pool<FakeResource>;

export const BACKOFF = { initialMs: 100, maxMs: 1_000, factor: 2, jitter: 0 };

export interface PoolReports {
  readonly closed: CloseReason[];
  readonly failures: { readonly error: unknown; readonly retryInMs: number; readonly attempt: number }[];
  readonly leaks: { readonly lease: WholeLease<FakeResource>; readonly heldMs: number; readonly reclaimed: boolean }[];
}

/** A pool on a fake factory and a step clock; exclusive, because that shows one resource for one caller. */
export function poolOf(
  settings: PoolOptions = {},
  factory = new FakeFactory({ dialling: 'succeeds' }),
  options: Partial<PoolOptionsInternal<FakeResource>> & { clock?: StepClock } = {},
) {
  const clock = options.clock ?? new StepClock();
  const reports: PoolReports = { closed: [], failures: [], leaks: [] };
  const pool: TestPool = new Pool<FakeResource>(factory, {
    label: '10.0.0.1:4000',
    settings: resolveOptions(poolRules, { min: 0, max: 4, mode: 'exclusive', maxLifetimeMs: 0, ...settings }, 'pool'),
    backoff: BACKOFF,
    events: {
      closed: (_resource, reason) => reports.closed.push(reason),
      dialFailed: (error, retryInMs, attempt) => reports.failures.push({ error, retryInMs, attempt }),
      leaked: (lease, heldMs, reclaimed) => reports.leaks.push({ lease, heldMs, reclaimed }),
    },
    random: () => 0,
    ...options,
    clock,
  });
  return { pool, factory, clock, reports };
}

/** The same, warm: `min` resources are open. */
export async function warmPoolOf(...args: Parameters<typeof poolOf>) {
  const all = poolOf(...args);
  all.pool.start();
  await settled();
  expect(all.pool.size).toBe(args[0]?.min ?? 0);
  return all;
}

/** What becomes of a promise, without waiting for it. */
export function outcomeOf<T>(promise: Promise<T>): { value?: T; error?: unknown; isSettled: boolean } {
  const outcome: { value?: T; error?: unknown; isSettled: boolean } = { isSettled: false };
  promise.then(
    (value) => {
      if (value !== undefined) outcome.value = value;
      outcome.isSettled = true;
    },
    (error: unknown) => {
      outcome.error = error;
      outcome.isSettled = true;
    },
  );
  return outcome;
}

/** Closes the pool at once and checks what must then be true of every pool. */
export async function expectNothingLeft({
  pool,
  factory,
  clock,
}: Pick<ReturnType<typeof poolOf>, 'pool' | 'factory' | 'clock'>) {
  pool.destroy();
  await settled();
  expect(pool.stats()).toMatchObject({ total: 0, idle: 0, active: 0, connecting: 0, waiting: 0 });
  expect(factory.open).toBe(0);
  expect(factory.pending.size).toBe(0);
  expect(clock.pending).toBe(0);
}
