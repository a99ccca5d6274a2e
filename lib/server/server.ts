import { createServer as createTcpServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { systemClock, type Clock } from '../common/clock.js';
import { Deferred } from '../common/deferred.js';
import type { DiagnosticLogger } from '../common/logger.js';
import { SocketTransport } from '../connection/socket-transport.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { Session, type Dispatcher, type SessionHost } from './session.js';
import type { ServerSettings } from './settings.js';

/** Connections over `maxConnections` that may at the same time be told that they are refused. */
const MAX_REFUSALS = 64;

export interface ServerDependencies {
  readonly dispatcher: Dispatcher;
  readonly logger: DiagnosticLogger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/**
 * - `idle`: does not listen yet
 * - `listening`: takes connections and calls
 * - `draining`: takes none, and finishes the calls it has
 * - `closed`
 */
export type ServerState = 'idle' | 'listening' | 'draining' | 'closed';

/** A server at one moment. Frozen. */
export interface ServerStats {
  readonly state: ServerState;
  /** Where it listens, once it does. */
  readonly address: string | undefined;
  /** Connections open. */
  readonly connections: number;
  /** Calls in flight. */
  readonly inFlight: number;
  /** Connections accepted and refused, since start. */
  readonly accepted: number;
  readonly refused: number;
}

/** Listens, keeps the sessions and their limits, and drains them. Knows nothing of Nest. */
export class TcpServer implements SessionHost {
  readonly settings: ServerSettings;
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  readonly dispatcher: Dispatcher;
  readonly random: () => number;
  /** The socket that listens. */
  readonly netServer: NetServer;
  readonly #sessions = new Set<Session>();
  /** With TLS: every connection, also those whose handshake has not ended and that are no session yet. */
  readonly #underTls = new Set<Socket>();
  #state: ServerState = 'idle';
  #refusals = 0;
  #inFlight = 0;
  #accepted = 0;
  #refused = 0;
  #closing: Promise<void> | undefined;
  #drained: Deferred | undefined;

  constructor(settings: ServerSettings, dependencies: ServerDependencies) {
    this.settings = settings;
    this.clock = dependencies.clock ?? systemClock;
    this.logger = dependencies.logger;
    this.dispatcher = dependencies.dispatcher;
    this.random = dependencies.random ?? Math.random;
    this.netServer = settings.tls === undefined ? createTcpServer() : this.#createTlsServer(settings.tls);
    this.netServer.on(settings.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.#accept(socket);
    });
    this.netServer.on('tlsClientError', (error: Error, socket: Socket) => {
      this.logger.warn(`the TLS handshake with ${peerOf(socket)} failed: ${error.message}`);
      // Node leaves one that has only timed out open.
      socket.destroy();
    });
  }

  get sessions(): ReadonlySet<Session> {
    return this.#sessions;
  }

  stats(): ServerStats {
    return Object.freeze({
      state: this.#state,
      address: this.#address(),
      connections: this.#sessions.size,
      inFlight: this.#inFlight,
      accepted: this.#accepted,
      refused: this.#refused,
    });
  }

  /**
   * Begins to listen.
   *
   * @throws PooledTcpError `PTCP_LISTEN_FAILED`
   */
  listen(): Promise<void> {
    const { host, port, path } = this.settings;
    this.#closing = undefined;
    return new Promise((resolve, reject) => {
      const onError = (cause: Error): void => {
        this.netServer.off('listening', onListening);
        reject(
          new PooledTcpError('PTCP_LISTEN_FAILED', `cannot listen on ${path ?? `${host}:${port}`}: ${cause.message}`, {
            cause,
          }),
        );
      };
      const onListening = (): void => {
        this.netServer.off('error', onError);
        this.#state = 'listening';
        resolve();
      };
      this.netServer.once('error', onError).once('listening', onListening);
      try {
        this.netServer.listen(path === undefined ? { host, port } : { path });
      } catch (error) {
        this.netServer.off('error', onError).off('listening', onListening);
        reject(
          new PooledTcpError(
            'PTCP_LISTEN_FAILED',
            `cannot listen on ${path ?? `${host}:${port}`}: ${(error as Error).message}`,
            { cause: error },
          ),
        );
      }
    });
  }

  /**
   * Stops listening, tells the clients, lets calls in flight finish within `drainTimeoutMs`, then destroys what
   * is left. Idempotent; later callers join.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { drainTimeoutMs } = this.settings;
    this.#state = 'draining';
    const stopped = new Promise<void>((resolve) => {
      // Calls back with an error when it was not listening: closed is what was wanted.
      this.netServer.close(() => {
        resolve();
      });
    });
    this.#drained = new Deferred();
    for (const session of this.#sessions) session.drain();
    const timer = this.clock.setTimeout(() => {
      this.logger.warn(
        `${this.#inFlight} calls in flight on ${this.#sessions.size} connections after ${drainTimeoutMs} ms of draining, destroying`,
      );
      for (const session of this.#sessions)
        session.destroy(new PooledTcpError('PTCP_POOL_CLOSED', 'the server is closed', { sent: true }));
    }, drainTimeoutMs);
    if (this.#sessions.size > 0) await this.#drained.promise;
    this.clock.clearTimeout(timer);
    // Sessions are gone; what is left has not finished its handshake and never will.
    for (const socket of this.#underTls) socket.destroy();
    await stopped;
    this.#state = 'closed';
  }

  // SessionHost

  admitCall(): boolean {
    if (this.#inFlight >= this.settings.maxInFlight) return false;
    this.#inFlight += 1;
    return true;
  }

  callEnded(): void {
    this.#inFlight -= 1;
  }

  closed(session: Session): void {
    if (!this.#sessions.delete(session)) this.#refusals -= 1;
    if (this.#sessions.size === 0) this.#drained?.resolve();
  }

  /** A handshake is what comes before the first frame, and has the time of one; Node's own limit is 120 s. */
  #createTlsServer(tls: TlsOptions): NetServer {
    const { firstFrameTimeoutMs } = this.settings;
    const limit = firstFrameTimeoutMs > 0 ? { handshakeTimeout: firstFrameTimeoutMs } : undefined;
    return createTlsServer({ ...limit, ...tls }).on('connection', (socket: Socket) => {
      this.#underTls.add(socket);
      socket.once('close', () => this.#underTls.delete(socket));
    });
  }

  #accept(socket: Socket): void {
    const { keepAlive, maxConnections } = this.settings;
    if (this.#closing !== undefined) {
      socket.destroy();
      return;
    }
    const transport = new SocketTransport(socket, peerOf(socket), keepAlive);
    if (this.#sessions.size < maxConnections) {
      const session = new Session(transport, this);
      this.#accepted += 1;
      this.#sessions.add(session);
      session.start();
      return;
    }
    this.#refused += 1;
    this.#refuse(transport);
  }

  /** Says why, to as many at a time as is cheap; a flood beyond that is dropped. */
  #refuse(transport: SocketTransport): void {
    if (this.#refusals >= MAX_REFUSALS) {
      transport.start({ data: () => undefined, drain: () => undefined, end: () => undefined, close: () => undefined });
      transport.destroy();
      return;
    }
    const { maxConnections } = this.settings;
    this.#refusals += 1;
    new Session(
      transport,
      this,
      new PooledTcpError(
        'PTCP_SERVER_OVERLOADED',
        `the server has ${maxConnections} connections, as many as maxConnections allows`,
      ),
    ).start();
  }

  #address(): string | undefined {
    const address = this.netServer.address();
    if (address === null) return undefined;
    if (typeof address === 'string') return `unix:${address}`;
    return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }
}

function peerOf(socket: Socket): string {
  const { remoteAddress, remotePort, remoteFamily } = socket;
  // A socket that is closed has no address any more; one on a Unix socket never had.
  if (remoteAddress === undefined) return socket.destroyed ? 'a client that is gone' : 'unix socket';
  return `${remoteFamily === 'IPv6' ? `[${remoteAddress}]` : remoteAddress}:${remotePort ?? 0}`;
}
