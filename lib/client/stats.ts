import type { EndpointStats } from '../cluster/endpoint.js';
import type { PoolCounters, PoolGauges } from '../pool/stats.js';
import type { PortStats } from './port-watch.js';

/** A client's pool at one moment: what health, logs and metrics show. Frozen. Counters are since start. */
export interface ClientStats extends PoolGauges, PoolCounters, PortStats {
  /** Name of the pool. */
  readonly name: string;
  /** Callers that wait for a connection. */
  readonly waiting: number;
  readonly endpoints: readonly (EndpointStats &
    PortStats & {
      /** Round trip of the last heartbeat in milliseconds, once one was answered; null before. */
      readonly roundTripMs: number | null;
    })[];
  /** Requests started. */
  readonly requests: number;
  /** Of these, how many ended with an error, a handler's own included. */
  readonly failures: number;
  /** Requests sent again on another connection: those that had not left, and idempotent ones that were lost. */
  readonly retries: number;
  /** Requests made a second time because no answer came for `hedge.delayMs`. */
  readonly hedged: number;
}
