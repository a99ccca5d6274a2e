import type { Server as NetServer, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { systemClock, type Clock } from '../common/clock.js';
import { Deferred } from '../common/deferred.js';
import type { DiagnosticLogger } from '../common/logger.js';
import { SocketTransport } from '../connection/socket-transport.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { Admission, type Place } from './admission.js';
import { BoundedLog } from './bounded-log.js';
import type { ClientAddress } from './client-address.js';
import { PartialBudget } from './partial-budget.js';
import { Listener } from './listener.js';
import { LoopDelay } from './loop-delay.js';
import { pushToMany } from './push/push-to-many.js';
import type { PushOptions } from './push/push-settings.js';
import { PushTally, type PushStats } from './push/push-tally.js';
import { TagIndex } from './push/tag-index.js';
import { Refusals, type RefusalReason } from './refusals.js';
import { Session, type Dispatcher, type SessionHost } from './session.js';
import type { ServerSettings } from './settings.js';

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
  /** The same, by why they were refused. */
  readonly refusedBy: Readonly<Record<RefusalReason, number>>;
  /** Calls refused, since start, because the server had too many in flight or its event loop was late. */
  readonly shed: number;
  /** Events dropped, since start, because as many as allowed were at work. */
  readonly droppedEvents: number;
  readonly pushes: PushStats;
}

/** Listens, keeps the sessions and their limits, and drains them. Knows nothing of Nest. */
export class TcpServer implements SessionHost {
  readonly settings: ServerSettings;
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  readonly dispatcher: Dispatcher;
  readonly random: () => number;
  readonly boundedLog: BoundedLog;
  readonly partialBudget: PartialBudget;
  readonly tags = new TagIndex<Session>();
  readonly pushTally = new PushTally();
  readonly #listener: Listener;
  readonly #refusals: Refusals;
  readonly #loopDelay: LoopDelay;
  readonly #sessions = new Set<Session>();
  /** Those that are only told why they are refused. */
  readonly #refused = new Set<Session>();
  #state: ServerState = 'idle';
  #inFlight = 0;
  #accepted = 0;
  #shed = 0;
  #events = 0;
  #droppedEvents = 0;
  #closing: Promise<void> | undefined;
  #drained: Deferred | undefined;
  #giveUpListening: ((why: string) => void) | undefined;

  constructor(settings: ServerSettings, dependencies: ServerDependencies) {
    this.settings = settings;
    this.clock = dependencies.clock ?? systemClock;
    this.logger = dependencies.logger;
    this.dispatcher = dependencies.dispatcher;
    this.random = dependencies.random ?? Math.random;
    this.boundedLog = new BoundedLog(this.logger, this.clock);
    this.partialBudget = new PartialBudget(settings.maxPartialBytes);
    this.#loopDelay = new LoopDelay(this.clock, settings.maxEventLoopDelayMs);
    this.#refusals = new Refusals(this.boundedLog);
    this.#listener = new Listener(settings, {
      admission: new Admission(settings, this.#refusals),
      refusals: this.#refusals,
      log: this.boundedLog,
      clock: this.clock,
      accept: (socket, address, place) => {
        this.#accept(socket, address, place);
      },
    });
  }

  /** The socket that listens. */
  get netServer(): NetServer {
    return this.#listener.netServer;
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
      refused: this.#refusals.total,
      refusedBy: this.#refusals.byReason,
      shed: this.#shed,
      droppedEvents: this.#droppedEvents,
      pushes: this.pushTally.stats(this.#pendingPushBytes()),
    });
  }

  /**
   * New certificates, without an end to connections that are open; options that are left out stay as they are.
   *
   * @throws PooledTcpError `PTCP_UNSUPPORTED`, `PTCP_OPTION_INVALID`
   */
  reloadTls(options: SecureContextOptions): void {
    this.#listener.reloadTls(options);
  }

  /**
   * Begins to listen.
   *
   * @throws PooledTcpError `PTCP_LISTEN_FAILED`, also when the server is closed before it listens
   */
  listen(): Promise<void> {
    const { host, port, path } = this.settings;
    return new Promise((resolve, reject) => {
      const fail = (why: string, cause?: unknown): void => {
        settle();
        const place = path ?? `${host}:${port}`;
        reject(new PooledTcpError('PTCP_LISTEN_FAILED', `cannot listen on ${place}: ${why}`, { cause }));
      };
      const onError = (cause: Error): void => {
        fail(cause.message, cause);
      };
      const onListening = (): void => {
        settle();
        this.#state = 'listening';
        if (this.settings.maxEventLoopDelayMs > 0) this.#loopDelay.start();
        resolve();
      };
      const settle = (): void => {
        this.netServer.off('error', onError).off('listening', onListening);
        this.#giveUpListening = undefined;
      };
      if (this.#state === 'draining') {
        fail('it drains; listen again once close() has resolved');
        return;
      }
      this.#closing = undefined;
      this.#listener.acceptAll();
      this.#giveUpListening = fail;
      this.netServer.once('error', onError).once('listening', onListening);
      try {
        this.netServer.listen(path === undefined ? { host, port } : { path });
      } catch (error) {
        fail((error as Error).message, error);
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
    this.#listener.refuseAll();
    // Of a socket that is closed while its address is looked up, Node says neither that it listens nor that it failed.
    this.#giveUpListening?.('the server was closed meanwhile');
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
    // Sessions are gone; what is left has not got as far, and never will.
    this.#listener.destroyEarly();
    for (const session of this.#refused)
      session.destroy(new PooledTcpError('PTCP_POOL_CLOSED', 'the server is closed'));
    await stopped;
    this.#loopDelay.stop();
    this.#state = 'closed';
  }

  /** Pushes the same to many sessions. @returns to how many */
  push(sessions: Iterable<Session>, route: string, data: unknown, options: PushOptions): number {
    return pushToMany(sessions, route, data, options, this.boundedLog);
  }

  // SessionHost

  admitCall(): string | undefined {
    const { maxInFlight, maxEventLoopDelayMs } = this.settings;
    const isFull = this.#inFlight >= maxInFlight;
    if (isFull || (maxEventLoopDelayMs > 0 && this.#loopDelay.isTooLate)) {
      this.#shed += 1;
      return isFull
        ? `the server has ${maxInFlight} calls in flight, as many as maxInFlight allows`
        : `the event loop of the server is late by more than maxEventLoopDelayMs (${maxEventLoopDelayMs})`;
    }
    this.#inFlight += 1;
    return undefined;
  }

  callEnded(): void {
    this.#inFlight -= 1;
  }

  admitEvent(): string | undefined {
    if (this.#events >= this.settings.maxInFlight)
      return `the server has ${this.#events} events at work, as many as maxInFlight allows`;
    this.#events += 1;
    return undefined;
  }

  eventEnded(): void {
    this.#events -= 1;
  }

  eventDropped(session: Session, why: string): void {
    this.#droppedEvents += 1;
    this.boundedLog.warn('events', `dropped an event of ${session.peer}: ${why}`);
  }

  refused(reason: RefusalReason, session: Session, why: string): void {
    this.#refusals.add(reason, session.peer, why);
  }

  closed(session: Session): void {
    if (!this.#sessions.delete(session)) this.#refused.delete(session);
    if (this.#sessions.size === 0) this.#drained?.resolve();
  }

  #accept(socket: Socket, { text }: ClientAddress, place: Place): void {
    const session = new Session(new SocketTransport(socket, text, this.settings.keepAlive), this, place);
    if (place.refusal === undefined) {
      this.#accepted += 1;
      this.#sessions.add(session);
    } else this.#refused.add(session);
    session.start();
  }

  #pendingPushBytes(): number {
    let bytes = 0;
    for (const session of this.#sessions) bytes += session.pendingPushBytes;
    return bytes;
  }

  #address(): string | undefined {
    const address = this.netServer.address();
    if (address === null) return undefined;
    if (typeof address === 'string') return `unix:${address}`;
    return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }
}
