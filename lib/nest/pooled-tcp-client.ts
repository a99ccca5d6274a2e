import {
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { Observable, ReplaySubject } from 'rxjs';
import type { ReplyObserver } from '../client/active-call.js';
import { Client } from '../client/client.js';
import { PushHub } from '../client/push-hub.js';
import { resolveClientOptions, type ClientSettings, type PooledTcpClientOptions } from '../client/settings.js';
import type { ClientStats } from '../client/stats.js';
import { conflict } from '../common/options.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import type { Metadata } from '../protocol/messages.js';
import { declaredOptions } from './decorators.js';
import { PooledTcpLease } from './pooled-tcp-lease.js';
import { Pushes, type PushesOptions } from './pushes.js';
import { acquireTimeout, eventMessage, type AcquireLeaseOptions, type RequestOptions } from './request-options.js';
import { Requester, type RequesterContext } from './requester.js';
import { uploadSource } from './upload-source.js';

/** `connected` while there is a connection to any endpoint. The values are those of Nest's own TCP client. */
export type PooledTcpStatus = 'connected' | 'disconnected';

/** Events of {@link PooledTcpClient.on}. */
export type PooledTcpClientEvents = {
  /** The first connection is there. */
  connect: () => void;
  /** The last connection is gone. */
  disconnect: () => void;
};

/**
 * A `ClientProxy` over a pool of long-lived TCP connections.
 *
 * `send()` and `emit()` behave as those of every Nest client: what a handler throws arrives as it was thrown.
 * {@link request} is the same call as a promise. Whatever goes wrong on the way is a `PooledTcpError`.
 *
 * @example
 * ```ts
 * orders.send('sum', [1, 2]).subscribe(console.log);
 * const sum = await orders.request<number>('sum', [1, 2], { timeoutMs: 500 });
 * ```
 */
export class PooledTcpClient
  extends ClientProxy<PooledTcpClientEvents>
  implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  /** Another one for each application that starts with this client, one after the other. */
  #client: Client;
  readonly #requester: Requester;
  readonly #logger: Logger;
  readonly #listeners = new Map<keyof PooledTcpClientEvents, Set<() => void>>();
  /** Those who listen stay when the client behind this one is replaced. */
  readonly #pushHub = new PushHub();
  readonly #pushes: Pushes;
  #isShuttingDown = false;

  /**
   * @param options of the pool; those of `@PooledClient()` when left out
   * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, `PTCP_OPTION_CONFLICT`
   */
  constructor(options?: PooledTcpClientOptions) {
    super();
    const given = options ?? declaredOptions(new.target);
    if (given === undefined) {
      conflict(
        `${new.target.name} has no options; pass them to the constructor, or declare them with @PooledClient({ … })`,
      );
    }
    const settings = resolveClientOptions(given);
    this.#logger = new Logger(`${PooledTcpClient.name}:${settings.name}`);
    this.#client = this.#createClient(settings);
    this.#requester = new Requester(
      {
        requestTimeoutMs: settings.requestTimeoutMs,
        logger: this.#logger,
        route: this.#route,
        message: this.#message,
      },
      (message, reply, call) => this.#client.call(message, reply, call),
    );
    this.#pushes = new Pushes({
      client: () => this.#client,
      route: this.#route,
      message: (pattern, data, metadata) =>
        eventMessage(this.#message(pattern, this.#route(pattern), data, metadata, uploadSource(data, this.#logger))),
    });
    this._status$.next('disconnected');
  }

  /** Changes of the connection, the current one first. */
  override get status(): Observable<PooledTcpStatus> {
    return super.status as Observable<PooledTcpStatus>;
  }

  /** Name of the pool. */
  get name(): string {
    return this.#client.settings.name;
  }

  /** The options as they are in force: defaults applied, frozen. */
  get settings(): ClientSettings {
    return this.#client.settings;
  }

  /** Whether `close()` has begun, or the application is shutting down: nothing new should be sent here. */
  get isShuttingDown(): boolean {
    return this.#isShuttingDown;
  }

  /** The pool at this moment: counts, endpoints and counters. Frozen. */
  stats(): ClientStats {
    return this.#client.stats();
  }

  /**
   * Opens `pool.min` connections to each endpoint. Not needed before a call.
   *
   * @throws PooledTcpError `PTCP_POOL_PREWARM_FAILED`, `PTCP_POOL_CLOSED`
   */
  override connect(): Promise<void> {
    return this.#client.connect();
  }

  /**
   * Lets calls in flight finish within `drainTimeoutMs`, then closes. Idempotent. Arguments are ignored: Nest's
   * `ClientsModule` calls this as a shutdown hook, with a signal.
   */
  override close(): Promise<void> {
    this.#isShuttingDown = true;
    this.#pushes.close();
    return this.#client.close();
  }

  /** Closes at once: calls in flight and callers who wait fail. */
  destroy(reason?: Error): void {
    this.#isShuttingDown = true;
    this.#pushes.close();
    this.#client.destroy(
      reason instanceof PooledTcpError
        ? reason
        : new PooledTcpError(
            'PTCP_POOL_CLOSED',
            `pool '${this.name}' was destroyed${reason === undefined ? '' : `: ${reason.message}`}`,
            { cause: reason },
          ),
    );
  }

  /**
   * A cold Observable of the replies, as every `ClientProxy`: each subscription is one request, and
   * unsubscribing cancels it. Errors with what the handler threw, or with a `PooledTcpError`.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the signature of ClientProxy
  override send<TResult = any, TInput = any>(pattern: any, data: TInput): Observable<TResult> {
    if (isNil(pattern) || isNil(data)) return super.send<TResult, TInput>(pattern, data);
    return new Observable<TResult>((subscriber) => {
      const observer: ReplyObserver = {
        next: (value) => {
          subscriber.next(this.serializeResponse(value) as TResult);
        },
        complete: () => {
          subscriber.complete();
        },
        failed: (error) => {
          subscriber.error(this.serializeError(error));
        },
        handlerFailed: (error) => {
          subscriber.error(this.serializeError(error));
        },
      };
      const upload = uploadSource(data, this.#logger);
      const message = this.#message(pattern, this.#route(pattern), data, undefined, upload);
      const call = this.#client.call(message, observer, { timeoutMs: this.settings.requestTimeoutMs, upload });
      return () => {
        call.cancel();
      };
    });
  }

  /**
   * Sends an event at once, whether or not somebody subscribes. The Observable completes when the event has
   * been given to the kernel, and errors when nothing was written; an error that nobody observes is logged.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the signature of ClientProxy
  override emit<TResult = any, TInput = any>(pattern: any, data: TInput): Observable<TResult> {
    if (isNil(pattern) || isNil(data)) return super.emit<TResult, TInput>(pattern, data);
    const outcome = new ReplaySubject<TResult>(1);
    this.#emit(pattern, data).then(
      () => {
        outcome.next(undefined as TResult);
        outcome.complete();
      },
      (error: unknown) => {
        if (!outcome.observed)
          this.#logger.warn(`event '${this.#route(pattern)}' was not sent: ${describeCause(error)}`);
        outcome.error(error);
      },
    );
    return outcome.asObservable();
  }

  /**
   * One request as a promise: resolves with the reply, or with the last item of a stream, or with undefined
   * where there was none.
   *
   * @throws PooledTcpError any code; `PTCP_HANDLER_FAILED` with the handler's answer as `cause`
   */
  request<TResult = unknown, TInput = unknown>(
    pattern: unknown,
    data: TInput,
    options: RequestOptions = {},
  ): Promise<TResult> {
    return this.#requester.request<TResult>(pattern, data, options);
  }

  /**
   * The replies of one request as they are taken: while the consumer is busy, a handler that can wait does. Each
   * iteration is a request; leaving the loop cancels it. Throws as {@link request} does.
   *
   * @example
   * ```ts
   * for await (const row of orders.stream<Row>('orders.export', { year: 2026 })) await file.write(row);
   * ```
   */
  stream<TResult = unknown, TInput = unknown>(
    pattern: unknown,
    data: TInput,
    options: RequestOptions = {},
  ): AsyncIterable<TResult> {
    return this.#requester.stream<TResult>(pattern, data, options);
  }

  /**
   * Borrows a whole connection: nobody else uses it until the lease is released. For calls that must run on
   * one connection; others do not need it.
   *
   * @throws PooledTcpError `PTCP_ACQUIRE_TIMEOUT`, `PTCP_POOL_EXHAUSTED`, `PTCP_POOL_CLOSED`, `PTCP_ABORTED`
   * @example
   * ```ts
   * await using lease = await orders.acquire();
   * await lease.request('begin', {});
   * ```
   */
  async acquire(options: AcquireLeaseOptions = {}): Promise<PooledTcpLease> {
    const origin = new Error('acquired here');
    const { timeoutMs, signal, key, serial: isSerial } = options;
    const lease = await this.#client.acquire({ timeoutMs: acquireTimeout(timeoutMs), signal, key, origin, isSerial });
    const requester = this.#requester.over((message, reply, call) => lease.call(message, reply, call));
    return new PooledTcpLease(lease, requester);
  }

  /** Runs `use` with a borrowed connection, and releases it however that ends. */
  async withLease<T>(use: (lease: PooledTcpLease) => Promise<T> | T, options: AcquireLeaseOptions = {}): Promise<T> {
    const lease = await this.acquire(options);
    try {
      return await use(lease);
    } finally {
      if (lease.isHeld) lease.release();
    }
  }

  /**
   * Changes `pool.min` and `pool.max` while the pool runs; what is left out stays. Surplus connections are
   * closed as they come free, missing ones are opened.
   *
   * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, `PTCP_OPTION_CONFLICT`
   */
  setLimits(limits: { readonly min?: number | undefined; readonly max?: number | undefined }): void {
    this.#client.setLimits(limits);
  }

  /** The limits in force. */
  get limits(): { readonly min: number; readonly max: number } {
    return this.#client.limits;
  }

  /** Replaces every connection, each once its calls have finished: after a change of certificates, for example. */
  evict(): void {
    this.#client.evict();
  }

  /** Holds new calls back, up to their deadlines, and dials nothing until {@link resume}: for failover drills. */
  suspend(): void {
    this.#client.suspend();
  }

  /** Ends {@link suspend}: those who wait are served, in order. */
  resume(): void {
    this.#client.resume();
  }

  /**
   * What servers push with this pattern, while subscribed. Completes when the client closes.
   *
   * With `subscribe`, each subscription first asks a server for the pushes, with a request, and takes what then comes
   * over that connection. When it dies, or has to close, the client asks again, elsewhere if need be, from the push
   * that was delivered last; nothing of the former connection is delivered after that. Errors only with what a server
   * would answer again: no handler, or an error of the handler.
   *
   * @param pattern as in `@MessagePattern()`
   * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_CONFLICT`
   * @example
   * ```ts
   * orders.pushes<Quote>('quote', {
   *   subscribe: { pattern: 'quotes.subscribe', data: (last) => ({ after: last?.seq }) },
   * });
   * ```
   */
  pushes<T = unknown>(pattern: unknown, options: PushesOptions<T> = {}): Observable<T> {
    return this.#pushes.of<T>(pattern, options);
  }

  override on<K extends keyof PooledTcpClientEvents>(event: K, callback: PooledTcpClientEvents[K]): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(callback));
  }

  /** The engine under the Nest client: `Client`, with its open connections. */
  override unwrap<T = Client>(): T {
    return this.#client as T;
  }

  /**
   * Nest hook: a client that was closed with an application before begins anew. `ClientsModule.register()` makes one when
   * its module is declared, and every application that starts with that module gets the same, as tests do again and
   * again.
   */
  async onModuleInit(): Promise<void> {
    if (!this.#isShuttingDown) return;
    await this.#client.close();
    this.#client = this.#createClient(this.settings);
    this.#isShuttingDown = false;
  }

  /** Nest hook: opens the pool before the application takes traffic, as `pool.prewarm` says. */
  async onApplicationBootstrap(): Promise<void> {
    const { prewarm, min } = this.settings.pool;
    if (prewarm === 'required') {
      const startedAt = performance.now();
      await this.connect().catch((error: unknown) => {
        // The application does not start: nothing of it may go on dialling.
        this.destroy();
        throw error;
      });
      const { total, endpoints } = this.stats();
      if (min > 0)
        this.#logger.log(
          `prewarmed ${total} connections (${endpoints.map((endpoint) => `${endpoint.address}: ${endpoint.total}`).join(', ')}) in ${Math.round(performance.now() - startedAt)} ms`,
        );
    } else if (prewarm === 'background') this.#client.warmInBackground();
  }

  /** Nest hook: health says so before the pool drains. */
  beforeApplicationShutdown(): void {
    this.#isShuttingDown = true;
  }

  /** Nest hook: drains once the application's own servers have stopped. */
  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  protected override publish(): never {
    throw new PooledTcpError('PTCP_UNSUPPORTED', 'publish() is replaced by send() and request()');
  }

  protected override dispatchEvent(): never {
    throw new PooledTcpError('PTCP_UNSUPPORTED', 'dispatchEvent() is replaced by emit()');
  }

  #createClient(settings: ClientSettings): Client {
    return new Client(
      settings,
      {
        connected: (isConnected) => {
          this.#onConnected(isConnected);
        },
      },
      { logger: this.#logger, pushes: this.#pushHub },
    );
  }

  /** Runs the dispatch hook, where there is one (Nest 12), which may add metadata. */
  readonly #message: RequesterContext['message'] = (pattern, route, data, given, upload) => {
    const { onDispatchHook } = this;
    let metadata = given;
    if (onDispatchHook !== undefined) {
      const packet: { pattern: unknown; data: unknown; metadata?: Metadata } = { pattern, data };
      if (given !== undefined) packet.metadata = given;
      onDispatchHook(packet);
      metadata = packet.metadata;
    }
    const isStreaming = upload !== undefined;
    return { pattern, route, data: isStreaming ? undefined : data, metadata, isStreaming };
  };

  async #emit(pattern: unknown, data: unknown): Promise<void> {
    await this.#client.emit(this.#requester.event(pattern, data));
  }

  /** Nest's key of a pattern. Its typings promise a string; for a boolean it returns the boolean. */
  readonly #route = (pattern: unknown): string => {
    const route: unknown = this.normalizePattern(pattern as string);
    return String(route);
  };

  #onConnected(isConnected: boolean): void {
    this._status$.next(isConnected ? 'connected' : 'disconnected');
    const event = isConnected ? 'connect' : 'disconnect';
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener();
      } catch (error) {
        // A listener's defect is its own: the pool has calls to settle and connections to replace.
        this.#logger.error(`a listener of '${event}' threw: ${describeCause(error)}`);
      }
    }
  }
}

function isNil(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}
