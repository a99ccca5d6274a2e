import type { BackoffSettings } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import { Deadline } from '../common/deadline.js';
import { Deferred } from '../common/deferred.js';
import type { DiagnosticLogger } from '../common/logger.js';
import type { Target } from '../connection/target.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import type { Lease } from '../pool/lease.js';
import { acquireAborted } from '../pool/pool-errors.js';
import type { Factory } from '../pool/factory.js';
import { Pool, type AcquireOptions, type PoolEvents } from '../pool/pool.js';
import type { PoolSettings } from '../pool/settings.js';
import { sumCounters, type PoolCounters, type PoolGauges } from '../pool/stats.js';
import { WaitQueue } from '../pool/wait-queue.js';
import type { EndpointAddress } from './endpoint-address.js';
import type { EndpointResolver } from './resolver.js';

/**
 * - `ready`: has connections, or has had no reason to open one
 * - `connecting`: has none yet
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

export interface ClusterOptions<R> {
  /** Name of the pool, for messages. */
  readonly name: string;
  readonly resolver: EndpointResolver;
  readonly parse: (address: EndpointAddress) => Target;
  readonly factory: (target: Target) => Factory<R>;
  readonly pool: PoolSettings;
  readonly backoff: BackoffSettings;
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  readonly events?: ClusterEvents;
}

export interface ClusterEvents {
  /** The first connection is there, or the last is gone. */
  connected?(isConnected: boolean): void;
}

interface Endpoint<R> {
  readonly target: Target;
  readonly pool: Pool<R>;
}

/**
 * The pools of all endpoints. They serve one queue: whichever endpoint has a free slot first serves the
 * longest waiter, and a dead endpoint holds nobody up while another lives.
 */
export class Cluster<R> {
  readonly #options: ClusterOptions<R>;
  readonly #queue: WaitQueue<R>;
  #endpoints: readonly Endpoint<R>[] = [];
  /** Endpoints that left the set and finish their calls. */
  readonly #leaving = new Set<Endpoint<R>>();
  /** Counts of endpoints that are gone: counters never go down. */
  #departed: PoolCounters = sumCounters([]);
  #stopWatching: (() => void) | undefined;
  #state: 'new' | 'open' | 'draining' | 'closed' = 'new';
  #isConnected = false;
  #limits: Pick<PoolSettings, 'min' | 'max'>;
  #isSuspended = false;
  /** Where the search for the least loaded endpoint begins, so that equals take turns. */
  #turn = 0;
  #resolveError: Error | undefined;
  #changed: Deferred | undefined;

  constructor(options: ClusterOptions<R>) {
    this.#options = options;
    this.#limits = options.pool;
    this.#queue = new WaitQueue<R>(options.clock);
  }

  /** Begins to resolve, and to keep `min` connections to each endpoint. The first acquire does so too. */
  start(): void {
    if (this.#state === 'new') {
      this.#state = 'open';
      this.#stopWatching = this.#options.resolver.watch({
        update: (addresses) => {
          this.#update(addresses);
        },
        error: (error) => {
          this.#onResolveError(error);
        },
      });
    }
  }

  /**
   * Resolves once every endpoint has `min` connections, or once some have and the others have failed.
   *
   * @throws PooledTcpError `PTCP_POOL_PREWARM_FAILED`, `PTCP_POOL_CLOSED`
   */
  async warm(timeoutMs: number): Promise<void> {
    this.start();
    const deadline = new Deadline(this.#options.clock, timeoutMs, () => {
      this.#notify();
    });
    try {
      while (!this.#isWarm(deadline.isPassed)) {
        if (this.#state !== 'open') throw this.#closedError();
        if (deadline.isPassed) throw this.#coldError(deadline.elapsedMs);
        await this.#nextChange();
      }
    } finally {
      deadline.clear();
    }
  }

  /** A lease on a free slot of the least loaded endpoint, or undefined when the caller would have to wait. */
  tryAcquire(): Lease<R> | undefined {
    if (this.#queue.size > 0) return undefined;
    for (const { pool } of this.#byLoad()) {
      const lease = pool.tryAcquire();
      if (lease !== undefined) return lease;
    }
    return undefined;
  }

  /** @throws PooledTcpError as `Pool.acquire`, and `PTCP_RESOLVE_FAILED` when there is no endpoint */
  async acquire(options: AcquireOptions): Promise<Lease<R>> {
    this.start();
    if (this.#state !== 'open') throw this.#closedError();
    if (this.#endpoints.length === 0) return this.#acquireFirst(options);
    return this.#acquireFrom(options);
  }

  /** The time until there are endpoints counts too. */
  async #acquireFirst(options: AcquireOptions): Promise<Lease<R>> {
    const { clock, pool } = this.#options;
    const startedAt = clock.now();
    const timeoutMs = options.timeoutMs ?? pool.acquireTimeoutMs;
    await this.#firstEndpoints(timeoutMs, options.signal);
    return this.#acquireFrom({ ...options, timeoutMs: Math.max(1, timeoutMs - (clock.now() - startedAt)) });
  }

  #acquireFrom(options: AcquireOptions): Promise<Lease<R>> {
    const candidates = this.#byLoad();
    const best = candidates.find(({ pool }) => pool.isPromising) ?? candidates[0];
    if (best === undefined) return Promise.reject(this.#closedError());
    return best.pool.acquire(options);
  }

  /** Takes a resource out of use once its calls have finished. */
  retire(resource: R): void {
    for (const { pool } of this.#endpoints) pool.retire(resource);
  }

  /** Changes the limits of every pool, also of those that are still to come. */
  setLimits(limits: Pick<PoolSettings, 'min' | 'max'>): void {
    this.#limits = limits;
    for (const { pool } of this.#endpoints) pool.setLimits(limits);
  }

  /** Replaces every connection without failing a call. */
  evict(): void {
    for (const { pool } of this.#endpoints) pool.evict();
  }

  /** New callers wait and nothing is dialled, until {@link resume}. */
  suspend(): void {
    this.start();
    this.#isSuspended = true;
    for (const { pool } of this.#endpoints) pool.suspend();
  }

  resume(): void {
    this.#isSuspended = false;
    for (const { pool } of this.#endpoints) pool.resume();
  }

  /** Whether anything has been resolved or dialled yet: by the prewarm, or by the first call. */
  get isStarted(): boolean {
    return this.#state !== 'new';
  }

  /** Endpoints in the set. */
  get size(): number {
    return this.#endpoints.length;
  }

  /** Callers that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** What all endpoints have done since start, those that are gone included. */
  counters(): PoolCounters {
    const pools = [...this.#endpoints, ...this.#leaving].map(({ pool }) => pool.stats());
    return sumCounters([this.#departed, ...pools]);
  }

  stats(): readonly EndpointStats[] {
    const endpoints = [
      ...this.#endpoints.map((endpoint) => this.#endpointStats(endpoint, false)),
      ...[...this.#leaving].map((endpoint) => this.#endpointStats(endpoint, true)),
    ];
    return Object.freeze(endpoints);
  }

  /** Refuses new callers and closes once those there are have finished. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'draining';
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#notify();
    this.#queue.drain();
    const pools = [...this.#endpoints, ...this.#leaving].map(({ pool }) => pool);
    await Promise.all(pools.map((pool) => pool.close()));
    this.#state = 'closed';
  }

  /** Closes at once. */
  destroy(): void {
    this.#state = 'closed';
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    for (const { pool } of [...this.#endpoints, ...this.#leaving]) pool.destroy();
    this.#notify();
  }

  #update(addresses: readonly EndpointAddress[]): void {
    // A look-up that was under way when the watch was stopped.
    if (this.#state !== 'open') return;
    const { logger, name, parse } = this.#options;
    this.#resolveError = undefined;
    const targets = new Map(addresses.map(parse).map((target) => [target.address, target]));
    const known = new Map(this.#endpoints.map((endpoint) => [endpoint.target.address, endpoint]));
    this.#endpoints = [...targets.values()].map(
      (target) => known.get(target.address) ?? { target, pool: this.#createPool(target) },
    );
    for (const endpoint of known.values()) {
      if (targets.has(endpoint.target.address)) continue;
      logger.log(`pool '${name}': ${endpoint.target.address} left the set, draining`);
      this.#leaving.add(endpoint);
      void endpoint.pool.close().then(() => {
        this.#leaving.delete(endpoint);
        this.#departed = sumCounters([this.#departed, endpoint.pool.stats()]);
      });
    }
    for (const { pool } of this.#endpoints) {
      if (this.#isSuspended) pool.suspend();
      else pool.start();
    }
    this.#notify();
  }

  #createPool(target: Target): Pool<R> {
    const { name, factory, pool: settings, backoff, clock } = this.#options;
    return new Pool(factory(target), {
      label: `${target.address} (pool '${name}')`,
      sharedLabel: `any endpoint of pool '${name}'`,
      settings: Object.freeze({ ...settings, min: this.#limits.min, max: this.#limits.max }),
      backoff,
      clock,
      queue: this.#queue,
      events: this.#poolEvents(target.address),
    });
  }

  #poolEvents(address: string): PoolEvents<R> {
    const { logger, name } = this.#options;
    let isFailing = false;
    return {
      created: () => {
        if (isFailing) logger.log(`pool '${name}': ${address} answers again`);
        isFailing = false;
        this.#notify();
      },
      closed: (_resource, reason, error) => {
        if (reason === 'lost' && error !== undefined)
          logger.warn(`pool '${name}': lost a connection: ${error.message} (${error.code})`);
        if (reason === 'invalid')
          logger.warn(`pool '${name}': a connection to ${address} gave no sign of life and was replaced`);
        this.#notify();
      },
      dialFailed: (error, retryInMs, attempt) => {
        isFailing = true;
        const message = `pool '${name}': ${describeCause(error)}; attempt ${attempt}, the next in ${Math.round(retryInMs)} ms`;
        // Each failure once at first, then ever more rarely: an outage must not flood the log.
        if (Number.isInteger(Math.log2(attempt))) logger.warn(message);
        else logger.debug?.(message);
        this.#notify();
      },
      leaked: (lease, heldMs, reclaimed) => {
        const stack = lease.origin?.stack?.split('\n').slice(1).join('\n') ?? '';
        const what = reclaimed ? 'was reclaimed' : 'may be leaking';
        logger.error(
          `pool '${name}': a lease on ${address} ${what} after ${Math.round(heldMs)} ms; it was acquired\n${stack}`,
        );
      },
    };
  }

  /** Endpoints with the least calls in flight first; equals take turns. */
  #byLoad(): readonly Endpoint<R>[] {
    const endpoints = this.#endpoints;
    if (endpoints.length < 2) return endpoints;
    this.#turn = (this.#turn + 1) % endpoints.length;
    const rotated = [...endpoints.slice(this.#turn), ...endpoints.slice(0, this.#turn)];
    return rotated.sort((a, b) => a.pool.inFlight - b.pool.inFlight);
  }

  async #firstEndpoints(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, name } = this.#options;
    const deadline = new Deadline(clock, timeoutMs, () => {
      this.#notify();
    });
    const onAbort = (): void => {
      this.#notify();
    };
    const goesOn = (): boolean => !deadline.isPassed && this.#state === 'open' && signal?.aborted !== true;
    signal?.addEventListener('abort', onAbort);
    while (this.#endpoints.length === 0 && goesOn()) await this.#nextChange();
    signal?.removeEventListener('abort', onAbort);
    deadline.clear();
    if (signal?.aborted) throw acquireAborted(signal, deadline.elapsedMs);
    if (this.#endpoints.length > 0) return;
    if (this.#state !== 'open') throw this.#closedError();
    const { elapsedMs } = deadline;
    throw new PooledTcpError(
      'PTCP_RESOLVE_FAILED',
      `pool '${name}' knows no endpoint after ${Math.round(elapsedMs)} ms${this.#resolveReason()}`,
      { elapsedMs, cause: this.#resolveError },
    );
  }

  /** Resolves when a connection, a dial or the set of endpoints has changed. */
  #nextChange(): Promise<void> {
    this.#changed ??= new Deferred();
    return this.#changed.promise;
  }

  #onResolveError(error: Error): void {
    this.#resolveError = error;
    this.#options.logger.warn(`pool '${this.#options.name}': endpoints could not be resolved: ${error.message}`);
    this.#notify();
  }

  #isWarm(isLate: boolean): boolean {
    const pools = this.#endpoints.map(({ pool }) => pool);
    const { min } = this.#limits;
    if (pools.length === 0) return false;
    const warm = pools.filter((pool) => pool.size >= min);
    const settled = pools.every((pool) => pool.size >= min || pool.lastFailure !== undefined);
    return warm.length > 0 && (settled || isLate);
  }

  #coldError(elapsedMs: number): PooledTcpError {
    const { name, pool } = this.#options;
    const failures = this.#endpoints.map((endpoint) => endpoint.pool.lastFailure);
    const reasons = failures.filter((failure) => failure !== undefined).map(describeCause);
    const why = reasons.length > 0 ? `: ${reasons.join('; ')}` : this.#resolveReason();
    return new PooledTcpError(
      'PTCP_POOL_PREWARM_FAILED',
      `pool '${name}' did not reach pool.min (${pool.min}) connections within ${Math.round(elapsedMs)} ms${why}`,
      { elapsedMs, cause: failures.find((failure) => failure !== undefined) ?? this.#resolveError },
    );
  }

  #resolveReason(): string {
    return this.#resolveError === undefined ? '' : `: ${this.#resolveError.message}`;
  }

  #endpointStats({ target, pool }: Endpoint<R>, isLeaving: boolean): EndpointStats {
    const { waiting: _, ...stats } = pool.stats();
    return Object.freeze({
      address: target.address,
      state: isLeaving ? 'draining' : endpointState(pool, stats.total),
      ejectedUntil: null,
      ...stats,
    });
  }

  #notify(): void {
    const isConnected = this.#endpoints.some(({ pool }) => pool.size > 0);
    if (isConnected !== this.#isConnected) {
      this.#isConnected = isConnected;
      this.#options.events?.connected?.(isConnected);
    }
    const changed = this.#changed;
    this.#changed = undefined;
    changed?.resolve();
  }

  #closedError(): PooledTcpError {
    return new PooledTcpError(
      'PTCP_POOL_CLOSED',
      `pool '${this.#options.name}' is ${this.#state === 'draining' ? 'draining' : 'closed'}`,
    );
  }
}

function endpointState<R>(pool: Pool<R>, total: number): EndpointState {
  if (total > 0) return 'ready';
  if (pool.lastFailure !== undefined) return 'failing';
  return pool.supply > 0 ? 'connecting' : 'ready';
}
