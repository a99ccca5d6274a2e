import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { systemClock, type Clock } from '../common/clock.js';
import {
  bytes,
  integer,
  refuse,
  resolveOptions,
  rule,
  text,
  withMethods,
  type OptionRules,
} from '../common/options.js';
import { changeFaults, NO_FAULTS, type Direction, type FaultOptions, type FaultSettings } from './faults.js';
import { ProxyConnection } from './proxy-connection.js';

/** A server that a proxy stands before. */
export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

export interface FaultProxyOptions {
  /** Where connections go. */
  readonly target: ProxyTarget;
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Port to listen on; 0, the default, lets the system choose. */
  readonly port?: number | undefined;
  /** Jitter and damage are the same for the same seed, connection by connection. Default 1. */
  readonly seed?: number | undefined;
  /** Bytes on their way in one direction before its sender is stopped. Default 1 MiB. */
  readonly windowBytes?: number | undefined;
  /** Time, for tests that step it. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** Where a fault is set. */
export interface FaultScope {
  /** Both when left out. */
  readonly direction?: Direction | undefined;
  /** `all` (default): open connections and those to come. `new`: only those to come. `open`: only those there are. */
  readonly connections?: 'all' | 'new' | 'open' | undefined;
}

interface ProxySettings {
  target: ProxyTarget;
  host: string;
  port: number;
  seed: number;
  windowBytes: number;
  clock: Clock;
}

const rules: OptionRules<ProxySettings> = {
  target: rule<ProxyTarget>(
    { default: { host: '', port: 0 }, allowed: 'an object with host and port', text: 'Where connections go.' },
    (value, path) => (isTarget(value) ? value : refuse(path, value, 'an object with host and port')),
  ),
  host: text<string>({ default: '127.0.0.1', text: 'Address to listen on.' }),
  port: integer({ default: 0, max: 65_535, what: 'a port', text: 'Port to listen on.' }),
  seed: integer({ default: 1, text: 'Of jitter and damage.' }),
  windowBytes: bytes({ default: 1024 * 1024, min: 1, text: 'Bytes on their way before the sender is stopped.' }),
  clock: withMethods<Clock>({
    default: systemClock,
    methods: ['now', 'setTimeout', 'clearTimeout'],
    allowed: 'an object with now(), setTimeout() and clearTimeout()',
    text: 'Time.',
  }) as OptionRules<ProxySettings>['clock'],
};

/**
 * A TCP proxy that does to connections what networks do: for tests of whatever stands on TCP. Faults are set and
 * taken back while it runs, for each direction, for all connections or for one. Bytes are never lost or put in
 * another order unless a fault says so, and a slow receiver slows the sender down.
 *
 * @example
 * ```ts
 * const proxy = await FaultProxy.listen({ target: { host: '127.0.0.1', port: 4000 } });
 * proxy.set({ latencyMs: 50, jitterMs: 20 });
 * proxy.set({ blackhole: true }, { direction: 'toClient' });
 * proxy.connections[0]?.reset();
 * proxy.refuse();
 * await proxy.close();
 * ```
 */
export class FaultProxy {
  readonly #settings: ProxySettings;
  readonly #connections = new Set<ProxyConnection>();
  #faults: Record<Direction, Readonly<FaultSettings>> = { toServer: NO_FAULTS, toClient: NO_FAULTS };
  #target: ProxyTarget;
  #server: Server | undefined;
  #port = 0;
  #accepted = 0;
  #closing: Promise<void> | undefined;
  #onLastClosed: (() => void) | undefined;

  private constructor(settings: ProxySettings) {
    this.#settings = settings;
    this.#target = settings.target;
  }

  /**
   * Starts a proxy.
   *
   * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, and the system's own error when it cannot listen
   */
  static async listen(options: FaultProxyOptions): Promise<FaultProxy> {
    const settings = resolveOptions(rules, options);
    if (!isTarget(options.target)) refuse('target', options.target, 'an object with host and port');
    const proxy = new FaultProxy(settings);
    await proxy.#listen(settings.port);
    return proxy;
  }

  /** Where clients connect; the same after {@link refuse} and {@link accept}. */
  get port(): number {
    return this.#port;
  }

  /** Connections that are open at one of their ends, the oldest first. */
  get connections(): readonly ProxyConnection[] {
    return [...this.#connections];
  }

  /** Connections accepted since start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Sends the connections to come to another server: a restarted one has a stable address this way. */
  pointAt(target: ProxyTarget): void {
    this.#target = target;
  }

  /**
   * Changes faults; what is left out stays.
   *
   * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`
   */
  set(faults: FaultOptions, scope: FaultScope = {}): void {
    const { direction, connections = 'all' } = scope;
    const directions: readonly Direction[] = direction === undefined ? ['toServer', 'toClient'] : [direction];
    const changed = { ...this.#faults };
    for (const one of directions) changed[one] = changeFaults(changed[one], faults);
    if (connections !== 'open') this.#faults = changed;
    if (connections !== 'new') for (const connection of this.#connections) connection.set(faults, direction);
  }

  /** Takes every fault back, everywhere. Does not listen again after {@link refuse}. */
  heal(): void {
    this.#faults = { toServer: NO_FAULTS, toClient: NO_FAULTS };
    for (const connection of this.#connections) connection.heal();
  }

  /** Resets every open connection; see {@link ProxyConnection.reset}. */
  reset(direction?: Direction): void {
    for (const connection of this.#connections) connection.reset(direction);
  }

  /** Half-closes every open connection; see {@link ProxyConnection.end}. */
  end(direction: Direction): void {
    for (const connection of this.#connections) connection.end(direction);
  }

  /** Stops listening: new connections are refused, open ones go on. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /**
   * Listens again, on the same port. Rejects with the system's error when that has been taken meanwhile.
   */
  async accept(): Promise<void> {
    if (this.#server === undefined && this.#closing === undefined) await this.#listen(this.#port);
  }

  /** Stops listening and closes every connection. Idempotent; later callers join. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #listen(port: number): Promise<void> {
    // Half-open, so that the end of one direction is not the end of the other.
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#accept(socket);
    });
    this.#server = server;
    try {
      server.listen(port, this.#settings.host);
      await once(server, 'listening');
    } catch (error) {
      this.#server = undefined;
      throw error;
    }
    this.#port = (server.address() as AddressInfo).port;
  }

  #accept(client: Socket): void {
    const { clock, seed, windowBytes } = this.#settings;
    this.#accepted += 1;
    const id = this.#accepted;
    const connection = new ProxyConnection({
      id,
      client,
      server: connect({ ...this.#target, allowHalfOpen: true }),
      clock,
      seed: seed + 2 * id,
      windowBytes,
      onClosed: () => {
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#onLastClosed?.();
      },
    });
    this.#connections.add(connection);
    connection.set(this.#faults.toServer, 'toServer');
    connection.set(this.#faults.toClient, 'toClient');
    connection.start();
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const stopped = server === undefined ? undefined : new Promise((resolve) => server.close(resolve));
    const closed = new Promise<void>((resolve) => {
      this.#onLastClosed = resolve;
      if (this.#connections.size === 0) resolve();
    });
    for (const connection of this.#connections) connection.destroy();
    await closed;
    await stopped;
  }
}

function isTarget(value: unknown): value is ProxyTarget {
  return (
    typeof value === 'object' &&
    value !== null &&
    'host' in value &&
    typeof value.host === 'string' &&
    'port' in value &&
    Number.isInteger(value.port)
  );
}
