import type { Target } from '../connection/target.js';
import type { Pool } from '../pool/pool.js';
import type { PoolCounters, PoolGauges } from '../pool/stats.js';
import type { Candidate } from './balancers/balancer.js';
import type { Latency } from './balancers/latency.js';
import type { Standing } from './ejection.js';
import type { EndpointPlace } from './endpoint-address.js';
import type { EndpointLog } from './endpoint-log.js';

/**
 * - `ready`: has connections, or has had no reason to keep one
 * - `connecting`: has none yet, and is to have some
 * - `failing`: has none, and the last dial failed
 * - `draining`: no longer in the set; finishes its calls
 */
export type EndpointState = 'ready' | 'connecting' | 'failing' | 'draining';

/** One endpoint at one moment. */
export interface EndpointStats extends PoolGauges, PoolCounters {
  readonly address: string;
  readonly state: EndpointState;
  /** Until when it gets no calls after repeated failures, in milliseconds since the epoch; null otherwise. */
  readonly ejectedUntil: number | null;
}

export interface EndpointParts<R> {
  readonly target: Target;
  readonly pool: Pool<R>;
  readonly latency: Latency;
  readonly standing: Standing;
  readonly log: EndpointLog;
}

/** One server: its pool, what is known about its answers, and whether it may get calls. */
export class Endpoint<R> implements Candidate {
  readonly target: Target;
  readonly pool: Pool<R>;
  readonly latency: Latency;
  readonly standing: Standing;
  readonly log: EndpointLog;
  /** Lower is better: the others get calls only while none of these can. */
  priority = 0;
  weight = 1;
  /** The last connection was lost, or the last dial failed, and none has been opened since. */
  isDown = false;
  /** Whether it may get calls; written by the selection. */
  isCandidate = false;

  constructor({ target, pool, latency, standing, log }: EndpointParts<R>, place: EndpointPlace) {
    this.target = target;
    this.pool = pool;
    this.latency = latency;
    this.standing = standing;
    this.log = log;
    this.place(place);
  }

  get address(): string {
    return this.target.address;
  }

  get inFlight(): number {
    return this.pool.inFlight;
  }

  /** Takes its place among the others. */
  place({ priority, weight }: EndpointPlace): void {
    this.priority = priority;
    this.weight = weight;
  }

  stats(isLeaving: boolean): EndpointStats {
    const { waiting: _, ...stats } = this.pool.stats();
    return Object.freeze({
      address: this.address,
      state: isLeaving ? 'draining' : this.#state(stats),
      ejectedUntil: this.standing.ejectedUntil,
      ...stats,
    });
  }

  #state({ total, connecting }: PoolGauges): EndpointState {
    if (total > 0) return 'ready';
    if (this.pool.lastFailure !== undefined) return 'failing';
    // Where none is kept they come and go, which says nothing: nothing has failed.
    return connecting > 0 && this.pool.min > 0 ? 'connecting' : 'ready';
  }
}
