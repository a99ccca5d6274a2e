import type { Clock } from '../common/clock.js';
import { Deadline } from '../common/deadline.js';
import {
  ClientConnection,
  type ClientConnectionEvents,
  type ClientConnectionOptions,
} from '../connection/client-connection.js';
import type { Connector } from '../connection/connector.js';
import type { Target } from '../connection/target.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import type { Factory } from '../pool/factory.js';
import type { GoawayNotice } from '../protocol/messages.js';
import type { PortWatch } from './port-watch.js';
import type { PortWatches } from './port-watches.js';

export interface DialerOptions {
  readonly clock: Clock;
  readonly connector: Connector;
  readonly connectTimeoutMs: number;
  /** Of the pool; compared with the server's. */
  readonly idleTimeoutMs: number;
  readonly connection: ClientConnectionOptions;
  /** Kept up to date with what is open. */
  readonly connections: Set<ClientConnection>;
  /** Told of every connection that comes and goes. */
  readonly ports: PortWatches;
  /** Why everything is destroyed, once it is. */
  readonly destroyReason: () => PooledTcpError | undefined;
  /** A connection is to take no new calls. */
  readonly onGoaway: (connection: ClientConnection, message: string) => void;
  readonly onPush: (route: string, data: unknown, connection: ClientConnection) => void;
}

/** What becomes of one open connection. It stays for as long as that does, and so holds nothing of the dial. */
class OpenedEvents implements ClientConnectionEvents {
  /** Once it is open: before that, the dial reports it. */
  connection: ClientConnection | undefined;
  readonly #options: DialerOptions;
  readonly #ports: PortWatch;
  readonly #lost: (reason: PooledTcpError) => void;

  constructor(options: DialerOptions, ports: PortWatch, lost: (reason: PooledTcpError) => void) {
    this.#options = options;
    this.#ports = ports;
    this.#lost = lost;
  }

  closed(reason: PooledTcpError): void {
    if (this.connection === undefined) return;
    this.#options.connections.delete(this.connection);
    this.#ports.gone();
    this.#lost(reason);
  }

  goaway({ message }: GoawayNotice): void {
    if (this.connection !== undefined) this.#options.onGoaway(this.connection, message);
  }

  push(route: string, data: unknown, connection: ClientConnection): void {
    this.#options.onPush(route, data, connection);
  }
}

/** Makes connections to one target for its pool. */
export class Dialer implements Factory<ClientConnection> {
  readonly #target: Target;
  readonly #options: DialerOptions;
  #hasComparedIdle = false;
  #hasComparedCodecs = false;

  constructor(target: Target, options: DialerOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** Opens a connection: TCP, TLS and hello, all within `connectTimeoutMs`. */
  async create(signal: AbortSignal, lost: (reason: PooledTcpError) => void): Promise<ClientConnection> {
    const ports = this.#options.ports.of(this.#target);
    ports.connecting();
    try {
      return await this.#open(signal, new OpenedEvents(this.#options, ports, lost));
    } catch (error) {
      ports.gone();
      throw (await ports.shortage(error)) ?? error;
    }
  }

  async validate(connection: ClientConnection): Promise<void> {
    await connection.probe();
  }

  retiring(connection: ClientConnection): void {
    connection.leave();
  }

  lastAliveAt(connection: ClientConnection): number {
    return connection.lastReadAt;
  }

  /** A connection that may be mute is destroyed; another first sends what it still has to send. */
  destroy(connection: ClientConnection, reason: string): void {
    this.#options.ports.of(this.#target).closing();
    const destroyReason = this.#options.destroyReason();
    if (destroyReason !== undefined) {
      connection.destroy(destroyReason);
      return;
    }
    if (reason === 'invalid' || reason === 'reclaimed') {
      const code = reason === 'reclaimed' ? 'PTCP_LEASE_RECLAIMED' : 'PTCP_CONNECTION_LOST';
      connection.destroy(
        new PooledTcpError(code, `the connection to ${connection.peer} was destroyed (${reason})`, {
          peer: connection.peer,
        }),
      );
      return;
    }
    connection.close();
  }

  async #open(signal: AbortSignal, events: OpenedEvents): Promise<ClientConnection> {
    const { clock, connector, connectTimeoutMs, connection: options, connections } = this.#options;
    const abort = new AbortController();
    const deadline = new Deadline(clock, connectTimeoutMs, () => {
      abort.abort(new Error(`nothing within ${connectTimeoutMs} ms`));
    });
    const onAbort = (): void => {
      abort.abort(signal.reason);
    };
    signal.addEventListener('abort', onAbort);
    try {
      const transport = await connector(this.#target, abort.signal);
      const opened = await ClientConnection.open(transport, options, events, abort.signal);
      if (opened.state !== 'ready') {
        const early = new PooledTcpError(
          'PTCP_HANDSHAKE_FAILED',
          `${this.#target.address} closed the connection, or said goodbye, right after the hello`,
        );
        // After a goaway it is still open, and the server waits for this side to let go.
        opened.destroy(early);
        throw early;
      }
      events.connection = opened;
      connections.add(opened);
      this.#compareIdleTimeouts(opened);
      this.#compareCodecs(opened);
      return opened;
    } catch (error) {
      throw deadline.isPassed ? this.#timeoutError(error, deadline.elapsedMs) : error;
    } finally {
      deadline.clear();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** The client should let go first: a server that does so closes connections which the pool thinks it has. */
  #compareIdleTimeouts({ serverIdleTimeoutMs }: ClientConnection): void {
    if (this.#hasComparedIdle || serverIdleTimeoutMs === 0) return;
    this.#hasComparedIdle = true;
    const { idleTimeoutMs, connection } = this.#options;
    const { heartbeat, logger } = connection;
    const closes = `${this.#target.address} closes connections after ${serverIdleTimeoutMs} ms of silence`;
    if (heartbeat === false || heartbeat.intervalMs >= serverIdleTimeoutMs) {
      logger.warn(`${closes}, and no heartbeat comes before that; set heartbeat.intervalMs below it`);
    } else if (idleTimeoutMs === 0 || idleTimeoutMs >= serverIdleTimeoutMs) {
      logger.debug?.(`${closes}, before pool.idleTimeoutMs (${idleTimeoutMs}); heartbeats keep them open meanwhile`);
    }
  }

  /** Said once for an endpoint: the calls work, only not as fast as was asked for. */
  #compareCodecs({ codec, protocol }: ClientConnection): void {
    const asked = this.#options.connection.codec;
    if (this.#hasComparedCodecs || asked !== 'msgpack' || codec === asked) return;
    this.#hasComparedCodecs = true;
    const why =
      protocol === 'native'
        ? 'it does not have the package msgpackr, or its options say codec: json'
        : 'it speaks the stock Nest wire';
    this.#options.connection.logger.warn(
      `${this.#target.address} is spoken to in JSON and not in MessagePack as codec asks: ${why}`,
    );
  }

  #timeoutError(cause: unknown, elapsedMs: number): PooledTcpError {
    const { address } = this.#target;
    return new PooledTcpError(
      'PTCP_CONNECT_TIMEOUT',
      `cannot connect to ${address} within ${Math.round(elapsedMs)} ms: ${describeCause(cause)}`,
      {
        peer: address,
        elapsedMs,
        cause,
      },
    );
  }
}
