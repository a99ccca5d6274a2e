/** Why a resource was closed. */
export type CloseReason =
  'idle' | 'lifetime' | 'retired' | 'lost' | 'invalid' | 'discarded' | 'reclaimed' | 'surplus' | 'shutdown';

/** A pool at one moment. Frozen; everything that shows a pool reads this. */
export interface PoolStats {
  /** Connections in the pool: idle and active. */
  readonly total: number;
  readonly idle: number;
  readonly active: number;
  /** Connections being opened. */
  readonly connecting: number;
  /** Callers that wait. */
  readonly waiting: number;
  /** Calls and leases under way. */
  readonly inFlight: number;
  /** Since start. */
  readonly created: number;
  readonly closed: Readonly<Record<CloseReason, number>>;
  readonly acquired: number;
  readonly acquireTimeouts: number;
  readonly reclaimed: number;
  readonly dialFailures: number;
}

export function noCloses(): Record<CloseReason, number> {
  return { idle: 0, lifetime: 0, retired: 0, lost: 0, invalid: 0, discarded: 0, reclaimed: 0, surplus: 0, shutdown: 0 };
}
