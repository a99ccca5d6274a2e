import { Cluster } from '../cluster/cluster.js';
import { parseEndpoint } from '../cluster/endpoint-address.js';
import { systemClock, type Clock } from '../common/clock.js';
import type { DiagnosticLogger } from '../common/logger.js';
import type { ClientConnection } from '../connection/client-connection.js';
import { foreignOf } from '../connection/foreign-settings.js';
import { socketConnector, type Connector } from '../connection/connector.js';
import type { PooledTcpErrorCode } from '../errors/codes.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Lease } from '../pool/lease.js';
import type { PoolSettings } from '../pool/settings.js';
import { sumGauges } from '../pool/stats.js';
import { Correlation } from '../protocol/foreign/correlation.js';
import type { OutgoingMessage } from '../protocol/messages.js';
import { outcomeOfFailure } from './call-outcome.js';
import {
  ActiveCall,
  type CallOptions,
  type ConnectionSource,
  type FailedAttempt,
  type ReplyObserver,
  type RunningCall,
} from './active-call.js';
import { CallDeadlines } from './call-deadlines.js';
import { ClientLease, type LeaseHooks } from './client-lease.js';
import { Dialer } from './dialer.js';
import { Hedge } from './hedge.js';
import { HedgedCall } from './hedged-call.js';
import { readLocalPorts, type ReadLocalPorts } from './local-ports.js';
import { PortWatches } from './port-watches.js';
import { PushHub } from './push-hub.js';
import { PushSubscription, type SubscriptionObserver, type SubscriptionPlan } from './push-subscription.js';
import { RetryBudget } from './retry-budget.js';
import { resolveLimits, type ClientSettings } from './settings.js';
import type { ClientStats } from './stats.js';

/** Failures of a connection, as opposed to refusals by the server behind it. */
const CONNECTION_FAILURES: readonly PooledTcpErrorCode[] = [
  'PTCP_CONNECTION_LOST',
  'PTCP_HEARTBEAT_TIMEOUT',
  'PTCP_WRITE_OVERFLOW',
];

export interface ClientDependencies {
  readonly logger: DiagnosticLogger;
  readonly clock?: Clock;
  readonly connector?: Connector;
  /** Where pushes go. Default: one of its own. */
  readonly pushes?: PushHub;
  /** What the system tells of its local ports. */
  readonly readLocalPorts?: ReadLocalPorts;
}

export interface ClientEvents {
  /** The first connection is there, or the last is gone. */
  connected(isConnected: boolean): void;
}

export interface LeaseOptions {
  readonly key?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly origin?: Error | undefined;
  /** Calls run one after another. */
  readonly isSerial?: boolean | undefined;
}

/** Requests over pooled connections to a set of endpoints. Knows nothing of Nest. */
export class Client implements ConnectionSource {
  readonly settings: ClientSettings;
  /** What servers push. */
  readonly pushes: PushHub;
  readonly #subscriptions = new Set<PushSubscription>();
  readonly #cluster: Cluster<ClientConnection>;
  readonly #connections = new Set<ClientConnection>();
  readonly #ports: PortWatches;
  readonly #clock: Clock;
  readonly #logger: DiagnosticLogger;
  readonly #deadlines: CallDeadlines;
  #limits: Pick<PoolSettings, 'min' | 'max' | 'maxInFlight'>;
  #requests = 0;
  #failures = 0;
  #retries = 0;
  #hedged = 0;
  readonly #budget: RetryBudget | undefined;
  readonly #attempts: ConnectionSource = {
    tryBorrow: (options) => this.tryBorrow(options),
    borrow: (...args) => this.borrow(...args),
    answered: (...args) => {
      this.answered(...args);
    },
    failed: (...args) => {
      this.failed(...args);
    },
    mayRetry: (...args) => this.mayRetry(...args),
    retried: () => {
      this.retried();
    },
    settled: () => {
      // An attempt of a hedged request is no request: that is counted when both are over.
    },
  };
  readonly #leaseHooks: LeaseHooks = {
    started: () => {
      this.#requests += 1;
    },
    settled: (isFailure) => {
      this.settled(isFailure);
    },
    answered: (connection, sentAt) => {
      this.answered(connection, sentAt);
    },
    failed: (connection, error, sentAt) => {
      this.failed(connection, error, sentAt);
    },
  };
  #connecting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #destroyReason: PooledTcpError | undefined;

  constructor(settings: ClientSettings, events: ClientEvents, dependencies: ClientDependencies) {
    const { clock = systemClock, logger } = dependencies;
    this.settings = settings;
    this.#limits = Object.freeze(limitsOf(settings.pool));
    this.#clock = clock;
    this.#deadlines = new CallDeadlines(clock);
    const { retry } = settings;
    if (retry !== false) {
      this.#budget = new RetryBudget({ ratio: retry.budgetRatio, minPerSecond: retry.budgetMinPerSecond });
    }
    this.#logger = logger;
    this.pushes = dependencies.pushes ?? new PushHub();
    const read = dependencies.readLocalPorts ?? readLocalPorts;
    this.#ports = new PortWatches({ pool: settings.name, clock, logger, read });
    const correlation = this.#correlation();
    const connector = dependencies.connector ?? socketConnector(settings.keepAlive);
    this.#cluster = new Cluster({
      name: settings.name,
      resolver: settings.resolver,
      parse: (address) => parseEndpoint(address, 'endpoints', settings.tls),
      pool: settings.pool,
      backoff: settings.backoff,
      balancer: settings.balancer,
      ejection: settings.ejection,
      clock,
      logger,
      events,
      factory: (target) =>
        new Dialer(target, {
          clock,
          connector,
          connectTimeoutMs: settings.pool.connectTimeoutMs,
          idleTimeoutMs: settings.pool.idleTimeoutMs,
          connection: { ...settings, clock, logger, correlation, isForOneCall: settings.pool.mode === 'short' },
          connections: this.#connections,
          ports: this.#ports,
          destroyReason: () => this.#destroyReason,
          onGoaway: (connection, message) => {
            logger.log(`pool '${settings.name}': ${connection.peer} takes no new calls on a connection: ${message}`);
            this.#cluster.retire(connection);
          },
          onPush: (route, data, connection) => {
            this.pushes.deliver(route, data, connection);
          },
        }),
    });
  }

  /**
   * Opens `pool.min` connections to every endpoint. Calls join; a failed attempt can be repeated.
   *
   * @throws PooledTcpError `PTCP_POOL_PREWARM_FAILED`, `PTCP_POOL_CLOSED`
   */
  connect(): Promise<void> {
    this.#connecting ??= this.#cluster.warm(this.settings.pool.prewarmTimeoutMs).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** Begins to open `pool.min` connections and does not wait. */
  warmInBackground(): void {
    this.#cluster.start();
  }

  /** Starts a request; replies go to the observer. */
  call(message: OutgoingMessage, observer: ReplyObserver, options: CallOptions): RunningCall {
    this.#requests += 1;
    const { hedge } = this.settings;
    const mayHedge = options.idempotent === true && options.key === undefined && options.upload === undefined;
    if (hedge !== false && mayHedge && this.#budget !== undefined)
      return this.#hedge(message, observer, options, hedge.delayMs, this.#budget);
    const call = new ActiveCall(this.#clock, this, message, observer, options, this.#deadlines);
    this.#budget?.requested(call.startedAt);
    call.start();
    return call;
  }

  /** How replies of a foreign peer find their calls; undefined where the protocol is one of ours. */
  #correlation(): Correlation | undefined {
    const { name, pool } = this.settings;
    const foreign = foreignOf(this.settings);
    if (foreign === undefined) return undefined;
    return new Correlation(foreign.codec, () => {
      // The codec did not say so: a connection takes one call at a time, and the pool has to know.
      if (pool.mode !== 'shared') return;
      this.#logger.debug?.(`pool '${name}': the codec uses no ids, so a connection carries one call at a time`);
      this.#limits = Object.freeze({ ...this.#limits, maxInFlight: 1 });
      this.#cluster.setLimits(this.#limits);
    });
  }

  #hedge(
    message: OutgoingMessage,
    observer: ReplyObserver,
    options: CallOptions,
    delayMs: number,
    budget: RetryBudget,
  ): RunningCall {
    const startedAt = this.#clock.now();
    budget.requested(startedAt);
    let first: ActiveCall | undefined;
    const begin = (attemptObserver: ReplyObserver): RunningCall => {
      const isSecond = first !== undefined;
      if (isSecond) this.#hedged += 1;
      // Both share the caller's time.
      const passedMs = isSecond ? this.#clock.now() - startedAt : 0;
      const timeoutMs = options.timeoutMs === 0 ? 0 : Math.max(1, options.timeoutMs - passedMs);
      const attemptOptions = isSecond ? { ...options, timeoutMs, avoid: first?.peer } : options;
      const call = new ActiveCall(
        this.#clock,
        this.#attempts,
        message,
        attemptObserver,
        attemptOptions,
        this.#deadlines,
      );
      first ??= call;
      call.start();
      return call;
    };
    return new HedgedCall(observer, {
      begin,
      hedge: (second) => new Hedge(this.#clock, budget, delayMs, second),
      failed: () => {
        this.settled(true);
      },
    });
  }

  /** Sends an event; resolves when its bytes have been given to the kernel. */
  async emit(message: OutgoingMessage): Promise<void> {
    const lease = this.#cluster.tryAcquire() ?? (await this.#cluster.acquire({}));
    try {
      await lease.resource.emit(message);
    } finally {
      lease.release();
    }
  }

  /** Borrows a whole connection. */
  async acquire(options: LeaseOptions): Promise<ClientLease> {
    return this.#leaseOf(await this.#cluster.acquire({ ...options, whole: true }), options);
  }

  /**
   * Opens a subscription on one connection, which others go on to use, and again elsewhere when that is lost.
   *
   * @returns ends it
   */
  subscribe(plan: SubscriptionPlan, observer: SubscriptionObserver): () => void {
    const subscription = new PushSubscription(plan, observer, {
      clock: this.#clock,
      logger: this.#logger,
      backoff: this.settings.backoff,
      hub: this.pushes,
      pin: async (key, signal) => this.#leaseOf(await this.#cluster.acquire({ key, signal }), {}),
      ended: () => this.#subscriptions.delete(subscription),
    });
    this.#subscriptions.add(subscription);
    subscription.start();
    return () => {
      subscription.cancel();
    };
  }

  #leaseOf(lease: Lease<ClientConnection>, { isSerial }: LeaseOptions): ClientLease {
    return new ClientLease(lease, this.#clock, this.#deadlines, this.#leaseHooks, isSerial === true);
  }

  /** They hold connections without an end, and would hold up every drain. */
  #endSubscriptions(): void {
    for (const subscription of [...this.#subscriptions]) subscription.close();
  }

  /** Most and fewest connections to each endpoint, from now on. */
  get limits(): Pick<PoolSettings, 'min' | 'max'> {
    const { min, max } = this.#limits;
    return { min, max };
  }

  /** @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, `PTCP_OPTION_CONFLICT` */
  setLimits(limits: { readonly min?: number | undefined; readonly max?: number | undefined }): void {
    this.#limits = Object.freeze({
      ...this.#limits,
      ...resolveLimits(limits, { ...this.settings.pool, ...this.#limits }),
    });
    this.#cluster.setLimits(this.#limits);
  }

  evict(): void {
    this.#cluster.evict();
  }

  suspend(): void {
    this.#cluster.suspend();
  }

  resume(): void {
    this.#cluster.resume();
  }

  stats(): ClientStats {
    const endpoints = this.#cluster.stats();
    return Object.freeze({
      name: this.settings.name,
      ...sumGauges(endpoints),
      ...this.#cluster.counters(),
      waiting: this.#cluster.waiting,
      endpoints: Object.freeze(
        endpoints.map((endpoint) =>
          Object.freeze({
            ...endpoint,
            ...this.#ports.statsOf(endpoint.address),
            roundTripMs: this.#roundTripMs(endpoint.address),
          }),
        ),
      ),
      ...this.#ports.stats(),
      requests: this.#requests,
      failures: this.#failures,
      retries: this.#retries,
      hedged: this.#hedged,
    });
  }

  /** Whether anything has been dialled yet; with `prewarm: false` only the first call does so. */
  get isStarted(): boolean {
    return this.#cluster.isStarted;
  }

  /** Open connections, for diagnosis. */
  get connections(): readonly ClientConnection[] {
    return [...this.#connections];
  }

  /** Refuses new calls, lets those in flight finish within `drainTimeoutMs`, then closes. Later callers join. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes at once; calls in flight fail. */
  destroy(
    reason: PooledTcpError = new PooledTcpError('PTCP_POOL_CLOSED', `pool '${this.settings.name}' was destroyed`),
  ): void {
    // The cluster first: it must not replace the connections that are lost next.
    this.#destroyReason ??= reason;
    this.#endSubscriptions();
    this.#cluster.destroy();
    for (const connection of this.#connections) connection.destroy(reason);
    this.#deadlines.clear();
  }

  async #close(): Promise<void> {
    const { drainTimeoutMs, name } = this.settings;
    this.#endSubscriptions();
    const timer = this.#clock.setTimeout(() => {
      const { inFlight, waiting } = this.stats();
      this.#logger.warn(
        `pool '${name}': ${inFlight} calls in flight and ${waiting} waiting after ${drainTimeoutMs} ms of draining, destroying`,
      );
      this.destroy();
    }, drainTimeoutMs);
    await this.#cluster.close();
    // A foreign protocol may have a goodbye of its own.
    for (const { goodbye } of [...this.#connections]) await goodbye;
    this.#clock.clearTimeout(timer);
    this.#deadlines.clear();
  }

  // ConnectionSource, for calls

  tryBorrow(options: CallOptions): Lease<ClientConnection> | undefined {
    return this.#cluster.tryAcquire(options);
  }

  borrow(
    { key, avoid }: CallOptions,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<Lease<ClientConnection>> {
    const { acquireTimeoutMs } = this.settings.pool;
    return this.#cluster.acquire({ key, avoid, timeoutMs: Math.min(acquireTimeoutMs, timeoutMs ?? Infinity), signal });
  }

  settled(isFailure: boolean): void {
    if (isFailure) this.#failures += 1;
  }

  /**
   * What a dead connection had not sent goes to another. What a server refused goes elsewhere only where there is
   * an elsewhere: to ask the same full server again would multiply its load. What may have reached a handler is sent
   * again only if the caller allows it, and the budget does.
   */
  mayRetry(
    { code, sent }: PooledTcpError,
    connection: ClientConnection | undefined,
    { isIdempotent, sentAttempts }: FailedAttempt,
  ): boolean {
    const { retry } = this.settings;
    // A reply that breaks off: a peer that died while it wrote, a reset after the first bytes, damage on the way.
    const isBrokenOff = code === 'PTCP_FRAME_MALFORMED' && connection?.state === 'closed';
    if (CONNECTION_FAILURES.includes(code) || isBrokenOff) {
      if (!sent) return true;
      return (
        isIdempotent &&
        retry !== false &&
        sentAttempts <= retry.attempts &&
        this.#budget?.tryRetry(this.#clock.now()) === true
      );
    }
    return !sent && code === 'PTCP_SERVER_OVERLOADED' && (connection?.state !== 'ready' || this.#cluster.size > 1);
  }

  retried(): void {
    this.#retries += 1;
  }

  /**
   * An attempt was answered: by a reply, by the first item of a stream, or by the error of a handler.
   *
   * @param sentAt when it was sent, waiting for a connection not included
   */
  answered(connection: ClientConnection, sentAt: number): void {
    // With one endpoint there is nothing to learn, and the clock is not read.
    if (this.#cluster.size > 1) this.#cluster.report(connection, 'answered', sentAt, this.#clock.now());
  }

  /** An attempt has failed, whether or not it is made again; with the error of the connection, or of its time. */
  failed(connection: ClientConnection, error: PooledTcpError, sentAt: number): void {
    if (this.#cluster.size < 2) return;
    const outcome = outcomeOfFailure(error, connection.state !== 'ready');
    this.#cluster.report(connection, outcome, sentAt, this.#clock.now(), `${error.message} (${error.code})`);
  }

  #roundTripMs(address: string): number | null {
    const measured = [...this.#connections]
      .filter(({ peer }) => peer === address)
      .map(({ roundTripMs }) => roundTripMs);
    return measured.find((roundTripMs) => roundTripMs !== undefined) ?? null;
  }
}

function limitsOf({ min, max, maxInFlight }: PoolSettings): Pick<PoolSettings, 'min' | 'max' | 'maxInFlight'> {
  return { min, max, maxInFlight };
}
