import type { EndpointStats } from '../cluster/cluster.js';
import { noCloses, type CloseReason } from '../pool/stats.js';

/** A client's pool at one moment: what health, logs and metrics show. Frozen. */
export interface ClientStats {
  /** Name of the pool. */
  readonly name: string;
  /** Connections in the pool: idle and active. */
  readonly total: number;
  readonly idle: number;
  readonly active: number;
  /** Connections being opened. */
  readonly connecting: number;
  /** Callers that wait for a connection. */
  readonly waiting: number;
  /** Calls and leases under way. */
  readonly inFlight: number;
  readonly endpoints: readonly (EndpointStats & {
    /** Round trip of the last heartbeat in milliseconds, once one was answered. */
    readonly roundTripMs: number | undefined;
  })[];
  /** Connections opened since start. */
  readonly created: number;
  /** Connections closed since start, by reason. */
  readonly closed: Readonly<Record<CloseReason, number>>;
  readonly acquired: number;
  readonly acquireTimeouts: number;
  /** Leases taken back because they were held too long. */
  readonly reclaimed: number;
  readonly dialFailures: number;
  /** Requests started since start. */
  readonly requests: number;
  /** Of these, how many ended with an error, a handler's own included. */
  readonly failures: number;
  /** Requests sent again because the first attempt had not reached a server. */
  readonly retries: number;
}

/** Adds the endpoints up. */
export function sumEndpoints(
  endpoints: readonly EndpointStats[],
): Pick<
  ClientStats,
  | 'total'
  | 'idle'
  | 'active'
  | 'connecting'
  | 'inFlight'
  | 'created'
  | 'closed'
  | 'acquired'
  | 'acquireTimeouts'
  | 'reclaimed'
  | 'dialFailures'
> {
  const sum = (
    key:
      | 'total'
      | 'idle'
      | 'active'
      | 'connecting'
      | 'inFlight'
      | 'created'
      | 'acquired'
      | 'acquireTimeouts'
      | 'reclaimed'
      | 'dialFailures',
  ): number => endpoints.reduce((total, endpoint) => total + endpoint[key], 0);
  const closed = noCloses();
  for (const endpoint of endpoints) {
    for (const reason of Object.keys(closed) as CloseReason[]) closed[reason] += endpoint.closed[reason];
  }
  return {
    total: sum('total'),
    idle: sum('idle'),
    active: sum('active'),
    connecting: sum('connecting'),
    inFlight: sum('inFlight'),
    created: sum('created'),
    closed: Object.freeze(closed),
    acquired: sum('acquired'),
    acquireTimeouts: sum('acquireTimeouts'),
    reclaimed: sum('reclaimed'),
    dialFailures: sum('dialFailures'),
  };
}
