import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import type { DialFailure } from './dial-gate.js';
import type { PoolGauges } from './stats.js';

/** What the errors of a pool tell about it. */
export interface PoolSituation {
  readonly label: string;
  readonly stats: PoolGauges;
  readonly waiting: number;
  /** Of each pool. */
  readonly max: number;
  /** How many pools serve the queue. */
  readonly pools: number;
  readonly now: number;
  readonly lastFailure: DialFailure | undefined;
}

export function acquireTimeout(elapsedMs: number, situation: PoolSituation): PooledTcpError {
  const { label, now, lastFailure } = situation;
  const why =
    lastFailure === undefined
      ? ''
      : `; the last dial failed ${Math.round(now - lastFailure.at)} ms ago: ${describeCause(lastFailure.error)}`;
  return new PooledTcpError(
    'PTCP_ACQUIRE_TIMEOUT',
    `no connection to ${label} came free within ${Math.round(elapsedMs)} ms (${counts(situation)})${why}`,
    { elapsedMs, cause: lastFailure?.error },
  );
}

export function poolExhausted(situation: PoolSituation): PooledTcpError {
  const { label, waiting, lastFailure } = situation;
  return new PooledTcpError(
    'PTCP_POOL_EXHAUSTED',
    `${waiting} callers already wait for a connection to ${label}, as many as pool.maxWaiters allows (${counts(situation)})`,
    { cause: lastFailure?.error },
  );
}

export function acquireAborted(signal: AbortSignal, elapsedMs: number): PooledTcpError {
  return new PooledTcpError('PTCP_ABORTED', 'the caller gave up waiting for a connection', {
    elapsedMs,
    cause: signal.reason,
  });
}

function counts({ stats, waiting, max, pools }: PoolSituation): string {
  const { total, idle, active, connecting } = stats;
  const limit = pools > 1 ? `max ${max} at each of ${pools} endpoints` : `max ${max}`;
  return `total ${total}, idle ${idle}, active ${active}, connecting ${connecting}, waiting ${waiting}, ${limit}`;
}
