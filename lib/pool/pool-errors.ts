import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import type { DialFailure } from './dial-gate.js';
import type { PoolStats } from './stats.js';

/** What the errors of a pool tell about it. */
export interface PoolSituation {
  readonly label: string;
  readonly stats: PoolStats;
  readonly max: number;
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
  const { label, stats, lastFailure } = situation;
  return new PooledTcpError(
    'PTCP_POOL_EXHAUSTED',
    `${stats.waiting} callers already wait for a connection to ${label}, as many as pool.maxWaiters allows (${counts(situation)})`,
    { cause: lastFailure?.error },
  );
}

export function acquireAborted(signal: AbortSignal, elapsedMs: number): PooledTcpError {
  return new PooledTcpError('PTCP_ABORTED', 'the caller gave up waiting for a connection', {
    elapsedMs,
    cause: signal.reason,
  });
}

function counts({ stats, max }: PoolSituation): string {
  const { total, idle, active, connecting, waiting } = stats;
  return `total ${total}, idle ${idle}, active ${active}, connecting ${connecting}, waiting ${waiting}, max ${max}`;
}
