import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import type { ClientStats } from '../client/stats.js';
import { PooledTcpClient } from '../nest/pooled-tcp-client.js';
import type { PooledTcpServer } from '../nest/pooled-tcp-server.js';
import { getPoolToken } from '../nest/tokens.js';

export interface PooledTcpHealthOptions {
  /** Name of the pool, or the client itself. Default: the pool `default`. */
  readonly pool?: string | PooledTcpClient | undefined;
  /** Whether `degraded` is reported as such (terminus answers 200). False reports it as up. Default true. */
  readonly reportDegraded?: boolean | undefined;
}

/** What the health endpoint shows of a pool: its counts, and what is wrong. */
export interface PooledTcpHealthDetails {
  readonly pool: string;
  readonly total: number;
  readonly idle: number;
  readonly active: number;
  readonly connecting: number;
  readonly waiting: number;
  readonly inFlight: number;
  readonly endpoints: readonly { readonly address: string; readonly state: string; readonly total: number }[];
  /** In mode `short`: connections opened in a second. */
  readonly connectsPerSecond?: number;
  /** In mode `short`: local ports in TIME_WAIT, at most. */
  readonly timeWait?: number;
  /** Why it is not up. */
  readonly message?: string;
}

/**
 * Health of a live pool, for `@nestjs/terminus`. It reads the pool's own state and opens nothing, so it may be
 * asked as often as wanted and says what callers would meet.
 *
 * - `up`: every endpoint has its `min` connections, or the pool is not in use yet (`prewarm: false`)
 * - `degraded`: some endpoint has fewer, or none
 * - `down`: no endpoint is usable, or the application is shutting down
 *
 * @example
 * ```ts
 * @Get('health') @HealthCheck()
 * check() {
 *   return this.health.check([() => this.pooledTcp.isHealthy('orders', { pool: 'orders' })]);
 * }
 * ```
 */
@Injectable()
export class PooledTcpHealthIndicator {
  readonly #moduleRef: ModuleRef;
  readonly #health: HealthIndicatorService;

  constructor(moduleRef: ModuleRef, health: HealthIndicatorService) {
    this.#moduleRef = moduleRef;
    this.#health = health;
  }

  /**
   * @param key under which the result appears
   * @throws Nest's `UnknownElementException` when there is no pool of that name
   */
  isHealthy<const TKey extends string>(
    key: TKey,
    options: PooledTcpHealthOptions = {},
  ): Promise<HealthIndicatorResult<TKey>> {
    // Nothing here waits, but an indicator that throws rejects, as every other does.
    return Promise.resolve().then(() => this.#check(key, options));
  }

  /**
   * Whether a server of this application takes calls: `up` while it listens, `down` before, while it drains and after.
   *
   * @param key under which the result appears
   */
  isServing<const TKey extends string>(key: TKey, server: PooledTcpServer): Promise<HealthIndicatorResult<TKey>> {
    return Promise.resolve().then(() => {
      const { state, address, connections, inFlight } = server.stats();
      const session = this.#health.check(key);
      const details = { state, address, connections, inFlight };
      return state === 'listening' ? session.up(details) : session.down({ ...details, message: `is ${state}` });
    });
  }

  #check<const TKey extends string>(key: TKey, options: PooledTcpHealthOptions): HealthIndicatorResult<TKey> {
    const client =
      options.pool instanceof PooledTcpClient
        ? options.pool
        : this.#moduleRef.get<PooledTcpClient>(getPoolToken(options.pool), { strict: false });
    const stats = client.stats();
    const session = this.#health.check(key);
    const details = {
      ...describe(stats),
      ...(client.unwrap().settings.pool.mode === 'short' ? describePorts(stats) : {}),
    };
    if (client.isShuttingDown) return session.down({ ...details, message: 'shutting down' });
    // With prewarm: false nothing is known before the first call, and to ask would be to open something.
    if (!client.unwrap().isStarted) return session.up({ ...details, message: 'not in use yet' });
    const usable = stats.endpoints.filter(({ state }) => state === 'ready');
    if (usable.length === 0) return session.down({ ...details, message: 'no endpoint is usable' });
    const short = stats.endpoints.filter(
      ({ state, total }) => state !== 'draining' && (state !== 'ready' || total < client.limits.min),
    );
    if (short.length === 0 || options.reportDegraded === false) return session.up(details);
    const message = `below min (${client.limits.min}): ${short.map(({ address, total }) => `${address} has ${total}`).join(', ')}`;
    return 'degraded' in session
      ? session.degraded({ ...details, message })
      : (session as { up(data: object): HealthIndicatorResult<TKey> }).up({ ...details, message });
  }
}

function describe({
  name,
  total,
  idle,
  active,
  connecting,
  waiting,
  inFlight,
  endpoints,
}: ClientStats): PooledTcpHealthDetails & Record<string, unknown> {
  return {
    pool: name,
    total,
    idle,
    active,
    connecting,
    waiting,
    inFlight,
    endpoints: endpoints.map(({ address, state, total: connections }) => ({ address, state, total: connections })),
  };
}

/** What a pool that keeps no connections is watched for. */
function describePorts({ connectsPerSecond, timeWait }: ClientStats): Partial<PooledTcpHealthDetails> {
  return { connectsPerSecond, timeWait };
}
