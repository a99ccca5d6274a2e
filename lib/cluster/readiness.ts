import type { Clock } from '../common/clock.js';
import { Deadline } from '../common/deadline.js';
import { Deferred } from '../common/deferred.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import type { DialFailure } from '../pool/dial-gate.js';
import { acquireAborted } from '../pool/pool-errors.js';

/** A pool, as far as those who wait for it look. */
export interface WarmingPool {
  /** Open connections. */
  readonly size: number;
  readonly lastFailure: DialFailure | undefined;
}

/** What those who wait for the cluster have to know of it. */
export interface ReadinessSource {
  readonly name: string;
  readonly clock: Clock;
  readonly maxWaiters: number;
  readonly isOpen: () => boolean;
  /** Why it is not open. */
  readonly closedError: () => PooledTcpError;
  /** Those of every endpoint. */
  readonly pools: () => readonly WarmingPool[];
  /** Connections that each of them keeps. */
  readonly min: () => number;
}

/** Waiting for a cluster that is not there yet: for its first endpoints, or until it is warm. */
export class Readiness {
  readonly #of: ReadinessSource;
  #changed: Deferred | undefined;
  #waiting = 0;
  #resolveError: Error | undefined;

  constructor(source: ReadinessSource) {
    this.#of = source;
  }

  /** Callers that wait for the first endpoint. */
  get waiting(): number {
    return this.#waiting;
  }

  /** A connection, a dial, the set of endpoints or the state of the cluster has changed. */
  changed(): void {
    const changed = this.#changed;
    this.#changed = undefined;
    changed?.resolve();
  }

  /** The endpoints have been looked up. */
  resolved(): void {
    this.#resolveError = undefined;
  }

  /** They could not be looked up. */
  notResolved(error: Error): void {
    this.#resolveError = error;
    this.changed();
  }

  /**
   * Resolves once every endpoint has `min` connections, or once some have and the others have failed.
   *
   * @throws PooledTcpError `PTCP_POOL_PREWARM_FAILED`, `PTCP_POOL_CLOSED`
   */
  async warm(timeoutMs: number): Promise<void> {
    const { clock, isOpen, closedError } = this.#of;
    const deadline = new Deadline(clock, timeoutMs, () => {
      this.changed();
    });
    try {
      while (!this.#isWarm(deadline.isPassed)) {
        if (!isOpen()) throw closedError();
        if (deadline.isPassed) throw this.#coldError(deadline.elapsedMs);
        await this.#nextChange();
      }
    } finally {
      deadline.clear();
    }
  }

  /**
   * Resolves once there is an endpoint.
   *
   * @throws PooledTcpError `PTCP_RESOLVE_FAILED`, `PTCP_POOL_EXHAUSTED`, `PTCP_POOL_CLOSED`, `PTCP_ABORTED`
   */
  async endpoints(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, name, maxWaiters, isOpen, pools, closedError } = this.#of;
    if (this.#waiting >= maxWaiters) {
      const what = `${this.#waiting} callers already wait until the endpoints of pool '${name}' are known, as many as pool.maxWaiters allows`;
      throw new PooledTcpError('PTCP_POOL_EXHAUSTED', `${what}${this.#resolveReason()}`, { cause: this.#resolveError });
    }
    const onChange = (): void => {
      this.changed();
    };
    const deadline = new Deadline(clock, timeoutMs, onChange);
    signal?.addEventListener('abort', onChange);
    this.#waiting += 1;
    while (pools().length === 0 && !deadline.isPassed && isOpen() && signal?.aborted !== true) await this.#nextChange();
    this.#waiting -= 1;
    signal?.removeEventListener('abort', onChange);
    deadline.clear();
    const { elapsedMs } = deadline;
    if (signal?.aborted) throw acquireAborted(signal, elapsedMs);
    if (pools().length > 0) return;
    if (!isOpen()) throw closedError();
    throw new PooledTcpError(
      'PTCP_RESOLVE_FAILED',
      `pool '${name}' knows no endpoint after ${Math.round(elapsedMs)} ms${this.#resolveReason()}`,
      { elapsedMs, cause: this.#resolveError },
    );
  }

  #nextChange(): Promise<void> {
    this.#changed ??= new Deferred();
    return this.#changed.promise;
  }

  #isWarm(isLate: boolean): boolean {
    const pools = this.#of.pools();
    const min = this.#of.min();
    const hasMin = ({ size }: WarmingPool): boolean => size >= min;
    const areSettled = pools.every((pool) => hasMin(pool) || pool.lastFailure !== undefined);
    return pools.some(hasMin) && (areSettled || isLate);
  }

  #coldError(elapsedMs: number): PooledTcpError {
    const { name, pools, min } = this.#of;
    const failures = pools().flatMap(({ lastFailure }) => (lastFailure === undefined ? [] : [lastFailure.error]));
    const why = failures.length > 0 ? `: ${failures.map(describeCause).join('; ')}` : this.#resolveReason();
    return new PooledTcpError(
      'PTCP_POOL_PREWARM_FAILED',
      `pool '${name}' did not reach pool.min (${min()}) connections within ${Math.round(elapsedMs)} ms${why}`,
      { elapsedMs, cause: failures[0] ?? this.#resolveError },
    );
  }

  #resolveReason(): string {
    return this.#resolveError === undefined ? '' : `: ${this.#resolveError.message}`;
  }
}
