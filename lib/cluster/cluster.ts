import type { BackoffSettings } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { DiagnosticLogger } from '../common/logger.js';
import type { Target } from '../connection/target.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Lease } from '../pool/lease.js';
import type { Factory } from '../pool/factory.js';
import { Pool, type AcquireOptions, type PoolEvents } from '../pool/pool.js';
import type { PoolSettings } from '../pool/settings.js';
import { sumCounters, type PoolCounters } from '../pool/stats.js';
import { WaitQueue } from '../pool/wait-queue.js';
import { createBalancer, type BalancerName } from './balancers/balancers.js';
import { Latency, MeanLatency } from './balancers/latency.js';
import { Standing, type EjectionSettings } from './ejection.js';
import { Endpoint, type EndpointStats } from './endpoint.js';
import { EndpointLog } from './endpoint-log.js';
import { placeOf, type EndpointAddress, type EndpointPlace } from './endpoint-address.js';
import { Readiness } from './readiness.js';
import type { EndpointResolver } from './resolver.js';
import { Selection } from './selection.js';

export interface ClusterOptions<R> {
  /** Name of the pool, for messages. */
  readonly name: string;
  readonly resolver: EndpointResolver;
  readonly parse: (address: EndpointAddress) => Target;
  readonly factory: (target: Target) => Factory<R>;
  readonly pool: PoolSettings;
  readonly backoff: BackoffSettings;
  readonly balancer: BalancerName;
  readonly ejection: EjectionSettings | false;
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  readonly events?: ClusterEvents;
  /** For everything that is left to chance. Default `Math.random`. */
  readonly random?: () => number;
}

export interface ClusterEvents {
  /** The first connection is there, or the last is gone. */
  connected?(isConnected: boolean): void;
}

/**
 * What a call says about the endpoint it went to:
 * - `answered`: it replied, be it with the error of a handler
 * - `refused`: it refused the call before starting it, although it goes on (overload)
 * - `late`: it did not reply in time
 * - `lost`: the connection died under the call
 * - `void`: nothing: the caller gave up, or the fault was the caller's
 */
export type CallOutcome = 'answered' | 'refused' | 'late' | 'lost' | 'void';

/** What pins a call to an endpoint, or keeps it away from one. */
export interface Keyed {
  readonly key?: string | undefined;
  /** Address of an endpoint that is not to be picked where there is another; a key is stronger. */
  readonly avoid?: string | undefined;
}

/**
 * The pools of all endpoints. They serve one queue: whichever endpoint has a free slot first serves the
 * longest waiter, and a dead endpoint holds nobody up while another lives. Those who are pinned by a key wait for
 * their endpoint, and move on together when it goes.
 */
export class Cluster<R extends object> {
  readonly #options: ClusterOptions<R>;
  readonly #random: () => number;
  readonly #queue: WaitQueue<R>;
  readonly #selection: Selection<R>;
  readonly #readiness: Readiness;
  readonly #meanLatency = new MeanLatency();
  /** To which endpoint a resource belongs, also when it is gone and the last of its calls are reported. */
  readonly #owners = new WeakMap<R, Endpoint<R>>();
  /** Resources whose loss has been counted: it fails many calls, and is one event. */
  readonly #countedLosses = new WeakSet<R>();
  #areWaitersToBeSettled = false;
  #endpoints: readonly Endpoint<R>[] = [];
  /** The endpoint, where there is only one. */
  #only: Endpoint<R> | undefined;
  /** Endpoints that left the set and finish their calls. */
  readonly #leaving = new Set<Endpoint<R>>();
  /** Counts of endpoints that are gone: counters never go down. */
  #departed: PoolCounters = sumCounters([]);
  #stopWatching: (() => void) | undefined;
  #state: 'new' | 'open' | 'draining' | 'closed' = 'new';
  #isConnected = false;
  #limits: Pick<PoolSettings, 'min' | 'max'> & Partial<Pick<PoolSettings, 'maxInFlight'>>;
  #isSuspended = false;

  constructor(options: ClusterOptions<R>) {
    this.#options = options;
    this.#limits = options.pool;
    this.#queue = new WaitQueue<R>(options.clock);
    this.#random = options.random ?? Math.random;
    this.#readiness = new Readiness({
      name: options.name,
      clock: options.clock,
      maxWaiters: options.pool.maxWaiters,
      isOpen: () => this.#state === 'open',
      closedError: () => this.#closedError(),
      pools: () => this.#endpoints.map(({ pool }) => pool),
      min: () => this.#limits.min,
    });
    this.#selection = new Selection<R>(createBalancer(options.balancer, this.#random, options.clock));
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
    await this.#readiness.warm(timeoutMs);
  }

  /**
   * A lease on a free slot of the endpoint that the balancer picks, or of another; with a key, of its endpoint only.
   * Undefined when the caller would have to wait.
   */
  tryAcquire(call?: Keyed): Lease<R> | undefined {
    // With one endpoint there is nothing to balance, and it costs nothing.
    if (this.#only !== undefined) return this.#only.pool.tryAcquire();
    const key = call?.key;
    const picked = this.#pick(call);
    if (picked === undefined) return undefined;
    const lease = picked.pool.tryAcquire();
    if (lease !== undefined || key !== undefined) return lease;
    // It has none yet: this call is served elsewhere, and the next may be served here.
    if (picked.pool.size === 0) picked.pool.wake();
    return this.#selection.firstOther(picked, tryAcquireFrom);
  }

  /** @throws PooledTcpError as `Pool.acquire` and {@link Readiness.endpoints} */
  async acquire(options: AcquireOptions & Keyed): Promise<Lease<R>> {
    this.start();
    if (this.#state !== 'open') throw this.#closedError();
    if (this.#endpoints.length === 0) return this.#acquireFirst(options);
    return this.#acquireFrom(options);
  }

  /** The time until there are endpoints counts too. */
  async #acquireFirst(options: AcquireOptions & Keyed): Promise<Lease<R>> {
    const { clock, pool } = this.#options;
    const startedAt = clock.now();
    const timeoutMs = options.timeoutMs ?? pool.acquireTimeoutMs;
    await this.#readiness.endpoints(timeoutMs, options.signal);
    return this.#acquireFrom({ ...options, timeoutMs: Math.max(1, timeoutMs - (clock.now() - startedAt)) });
  }

  #acquireFrom(options: AcquireOptions & Keyed): Promise<Lease<R>> {
    const picked = this.#pick(options);
    return picked === undefined ? Promise.reject(this.#closedError()) : picked.pool.acquire(options);
  }

  #pick(call?: Keyed): Endpoint<R> | undefined {
    const picked = this.#selection.pick(call?.key);
    if (call?.avoid === undefined || call.key !== undefined || picked?.address !== call.avoid) return picked;
    return this.#selection.firstOther(picked, (endpoint) => endpoint) ?? picked;
  }

  /**
   * What became of a call: balancers learn latencies from it, and endpoints that go on failing are ejected.
   *
   * @param resource over which the call went
   * @param sentAt when it was sent, on the cluster's clock
   * @param now when its first reply came, or when it failed: the caller has looked at the clock already
   * @param reason of a failure, for the log
   */
  report(resource: R, outcome: CallOutcome, sentAt: number, now: number, reason = outcome as string): void {
    if (this.#endpoints.length < 2) return;
    const endpoint = this.#owners.get(resource);
    if (endpoint === undefined) return;
    const { latency, standing } = endpoint;
    switch (outcome) {
      case 'answered':
        latency.answered(now - sentAt, now);
        standing.succeeded();
        return;
      case 'refused':
        latency.refused(now);
        standing.failed(reason);
        return;
      case 'late':
        latency.failed(now - sentAt, now);
        standing.failed(reason);
        return;
      case 'lost':
        if (this.#countedLosses.has(resource)) return;
        this.#countedLosses.add(resource);
        standing.failed(reason);
        return;
      case 'void':
        standing.inconclusive();
    }
  }

  /** Takes a resource out of use once its calls have finished. */
  retire(resource: R): void {
    for (const { pool } of this.#endpoints) pool.retire(resource);
  }

  /** Changes the limits of every pool, also of those that are still to come. */
  setLimits(limits: Pick<PoolSettings, 'min' | 'max'> & Partial<Pick<PoolSettings, 'maxInFlight'>>): void {
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
    return this.#queue.size + this.#readiness.waiting;
  }

  /** What all endpoints have done since start, those that are gone included. */
  counters(): PoolCounters {
    const pools = [...this.#endpoints, ...this.#leaving].map(({ pool }) => pool.stats());
    return sumCounters([this.#departed, ...pools]);
  }

  stats(): readonly EndpointStats[] {
    const endpoints = [
      ...this.#endpoints.map((endpoint) => endpoint.stats(false)),
      ...[...this.#leaving].map((endpoint) => endpoint.stats(true)),
    ];
    return Object.freeze(endpoints);
  }

  /** Refuses new callers and closes once those there are have finished. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'draining';
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    for (const { standing } of this.#endpoints) standing.stop();
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
    for (const { standing } of this.#endpoints) standing.stop();
    for (const { pool } of [...this.#endpoints, ...this.#leaving]) pool.destroy();
    this.#notify();
  }

  #update(addresses: readonly EndpointAddress[]): void {
    // A look-up that was under way when the watch was stopped.
    if (this.#state !== 'open') return;
    this.#readiness.resolved();
    const known = new Map(this.#endpoints.map((endpoint) => [endpoint.address, endpoint]));
    const found = new Map<string, Endpoint<R>>();
    for (const address of addresses) {
      const target = this.#options.parse(address);
      const place = placeOf(address, 'endpoints');
      if (found.has(target.address)) continue;
      const endpoint = known.get(target.address);
      endpoint?.place(place);
      found.set(target.address, endpoint ?? this.#createEndpoint(target, place));
    }
    this.#endpoints = [...found.values()];
    this.#only = this.#endpoints.length === 1 ? this.#endpoints[0] : undefined;
    for (const { pool } of this.#endpoints) {
      if (this.#isSuspended) pool.suspend();
      else pool.start();
    }
    this.#pardon();
    if (!this.#selection.update(this.#endpoints)) this.#selection.renew();
    for (const endpoint of known.values()) if (!found.has(endpoint.address)) this.#leave(endpoint);
    this.#settleWaiters();
    this.#notify();
  }

  #leave(endpoint: Endpoint<R>): void {
    endpoint.log.left();
    endpoint.isCandidate = false;
    endpoint.standing.stop();
    this.#leaving.add(endpoint);
    this.#moveWaiters(endpoint);
    void endpoint.pool.close().then(() => {
      this.#leaving.delete(endpoint);
      this.#departed = sumCounters([this.#departed, endpoint.pool.stats()]);
    });
  }

  #createEndpoint(target: Target, place: EndpointPlace): Endpoint<R> {
    const { name, factory, pool: settings, backoff, clock, logger } = this.#options;
    const { address } = target;
    const { min, max, maxInFlight = settings.maxInFlight } = this.#limits;
    const log = new EndpointLog(logger, name, address);
    const pool = new Pool<R>(factory(target), {
      label: `${address} (pool '${name}')`,
      sharedLabel: `any endpoint of pool '${name}'`,
      settings: Object.freeze({ ...settings, min, max, maxInFlight }),
      backoff,
      clock,
      random: this.#random,
      queue: this.#queue,
      servesAny: (): boolean => endpoint.isCandidate,
      events: this.#poolEvents(log, () => endpoint),
    });
    const standing = this.#createStanding(log);
    const latency = new Latency(this.#meanLatency);
    const endpoint: Endpoint<R> = new Endpoint<R>({ target, pool, latency, standing, log }, place);
    return endpoint;
  }

  #createStanding(log: EndpointLog): Standing {
    const { ejection, clock } = this.#options;
    return new Standing({
      settings: ejection,
      clock,
      random: this.#random,
      mayEject: () => this.#out() < this.#mostOut,
      changed: () => {
        this.#reselect();
      },
      ejected: (forMs, failures, reason) => {
        log.ejected(forMs, failures, reason, `${this.#out()} of ${this.#endpoints.length} endpoints are out`);
      },
      readmitted: (ejections) => {
        log.readmitted(ejections);
      },
    });
  }

  /** Endpoints that get no calls, or only a probe. */
  #out(): number {
    return this.#endpoints.filter(({ isDown, standing }) => isDown || standing.isEjected).length;
  }

  /** How many endpoints may be out. */
  get #mostOut(): number {
    const { ejection } = this.#options;
    return ejection === false ? 0 : Math.floor(this.#endpoints.length * ejection.maxShare);
  }

  /** The set has shrunk: of those ejected, as many as are too many come back, those first whose time is over first. */
  #pardon(): void {
    const ejected = this.#endpoints.filter(({ standing }) => standing.isEjected);
    ejected.sort((a, b) => (a.standing.ejectedUntil ?? 0) - (b.standing.ejectedUntil ?? 0));
    for (const { standing } of ejected.slice(0, Math.max(0, ejected.length - this.#mostOut))) standing.pardon();
  }

  /** Something has changed that decides who may get calls. */
  #reselect(): void {
    if (this.#state === 'closed' || !this.#selection.update(this.#endpoints) || this.#areWaitersToBeSettled) return;
    // Not at once: a pool may be in the middle of the change that it reports.
    this.#areWaitersToBeSettled = true;
    queueMicrotask(() => {
      this.#areWaitersToBeSettled = false;
      this.#settleWaiters();
    });
  }

  /** Those who wait are served by those who may now, and those who are pinned move on with the others of their key. */
  #settleWaiters(): void {
    if (this.#queue.size === 0) return;
    for (const endpoint of this.#endpoints) if (!endpoint.isCandidate) this.#moveWaiters(endpoint);
    this.#queue.pumpOthers();
  }

  #moveWaiters({ pool }: Endpoint<R>): void {
    for (const waiter of pool.pinned) {
      const next = this.#selection.pick(waiter.wanted.key)?.pool;
      if (next !== undefined) this.#queue.move(waiter, next.pinned);
    }
  }

  #setDown(endpoint: Endpoint<R>, isDown: boolean): void {
    if (endpoint.isDown === isDown) return;
    endpoint.isDown = isDown;
    // With min 0 nobody else would find out that it is back: it gets no calls that would dial.
    if (isDown && this.#endpoints.length > 1) endpoint.pool.wake();
    // It has come up anew, so what it did before need not count: one call tests it now.
    else endpoint.standing.reconsider();
    this.#reselect();
  }

  #poolEvents(log: EndpointLog, endpointOf: () => Endpoint<R>): PoolEvents<R> {
    return {
      lent: () => {
        endpointOf().standing.lent();
      },
      created: (resource) => {
        log.opened();
        this.#owners.set(resource, endpointOf());
        this.#setDown(endpointOf(), false);
        this.#notify();
      },
      closed: (_resource, reason, error) => {
        log.closed(reason, error);
        if ((reason === 'lost' || reason === 'invalid') && endpointOf().pool.size === 0)
          this.#setDown(endpointOf(), true);
        this.#notify();
      },
      dialFailed: (error, retryInMs, attempt) => {
        log.dialFailed(error, retryInMs, attempt);
        if (endpointOf().pool.size === 0) this.#setDown(endpointOf(), true);
        this.#notify();
      },
      leaked: (lease, heldMs, isReclaimed) => {
        log.leaked(lease.origin, heldMs, isReclaimed);
      },
    };
  }

  #onResolveError(error: Error): void {
    this.#options.logger.warn(`pool '${this.#options.name}': endpoints could not be resolved: ${error.message}`);
    this.#readiness.notResolved(error);
  }

  #notify(): void {
    const isConnected = this.#endpoints.some(({ pool }) => pool.size > 0);
    if (isConnected !== this.#isConnected) {
      this.#isConnected = isConnected;
      this.#options.events?.connected?.(isConnected);
    }
    this.#readiness.changed();
  }

  #closedError(): PooledTcpError {
    return new PooledTcpError(
      'PTCP_POOL_CLOSED',
      `pool '${this.#options.name}' is ${this.#state === 'draining' ? 'draining' : 'closed'}`,
    );
  }
}

function tryAcquireFrom<R>({ pool }: Endpoint<R>): Lease<R> | undefined {
  return pool.tryAcquire();
}
