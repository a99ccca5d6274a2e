/** Why a resource was closed. */
export type CloseReason =
  'idle' | 'lifetime' | 'retired' | 'lost' | 'invalid' | 'discarded' | 'reclaimed' | 'surplus' | 'shutdown';

/** What a pool has at one moment. */
export interface PoolGauges {
  /** Connections in the pool: idle and active. */
  readonly total: number;
  readonly idle: number;
  readonly active: number;
  /** Connections being opened. */
  readonly connecting: number;
  /** Calls and leases under way. */
  readonly inFlight: number;
}

/** What a pool has done since it was made; never goes down. */
export interface PoolCounters {
  /** Connections opened. */
  readonly created: number;
  /** Connections closed, by reason. */
  readonly closed: Readonly<Record<CloseReason, number>>;
  /** Leases given out, one for each call. */
  readonly acquired: number;
  readonly acquireTimeouts: number;
  /** Leases taken back because they were held too long. */
  readonly reclaimed: number;
  readonly dialFailures: number;
}

/** A pool at one moment. Frozen; everything that shows a pool reads this. */
export interface PoolStats extends PoolGauges, PoolCounters {
  /** Callers that wait. */
  readonly waiting: number;
}

export function noCloses(): Record<CloseReason, number> {
  return {
    idle: 0,
    lifetime: 0,
    retired: 0,
    lost: 0,
    invalid: 0,
    discarded: 0,
    reclaimed: 0,
    surplus: 0,
    shutdown: 0,
  };
}

export function sumGauges(pools: readonly PoolGauges[]): PoolGauges {
  const sum = (key: keyof PoolGauges): number => pools.reduce((total, pool) => total + pool[key], 0);
  return {
    total: sum('total'),
    idle: sum('idle'),
    active: sum('active'),
    connecting: sum('connecting'),
    inFlight: sum('inFlight'),
  };
}

export function sumCounters(pools: readonly PoolCounters[]): PoolCounters {
  const sum = (key: Exclude<keyof PoolCounters, 'closed'>): number =>
    pools.reduce((total, pool) => total + pool[key], 0);
  const closed = noCloses();
  for (const pool of pools)
    for (const reason of Object.keys(closed) as CloseReason[]) closed[reason] += pool.closed[reason];
  return {
    created: sum('created'),
    closed: Object.freeze(closed),
    acquired: sum('acquired'),
    acquireTimeouts: sum('acquireTimeouts'),
    reclaimed: sum('reclaimed'),
    dialFailures: sum('dialFailures'),
  };
}
