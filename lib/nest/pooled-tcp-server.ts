import type { ArgumentsHost, OnModuleDestroy } from '@nestjs/common';
import {
  BaseRpcExceptionFilter,
  Server,
  Transport,
  type CustomTransportStrategy,
  type MessageHandler,
  type TransportId,
} from '@nestjs/microservices';
import type { Server as NetServer, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { describeCause } from '../errors/pooled-tcp-error.js';
import { NO_MESSAGE_HANDLER } from '../protocol/nest-json.js';
import type { Metadata } from '../protocol/messages.js';
import { TcpServer, type ServerStats } from '../server/server.js';
import type { ServerCall } from '../server/server-call.js';
import type { Dispatcher, Session } from '../server/session.js';
import { resolveServerOptions, type PooledTcpServerOptions, type ServerSettings } from '../server/settings.js';
import { PooledTcpContext } from './pooled-tcp-context.js';
import { PooledTcpSessions } from './pooled-tcp-sessions.js';
import { PooledTcpStream } from './pooled-tcp-stream.js';
import { isReplyStream, reply, type ReplyStream } from './reply-stream.js';
import { runEvent } from './run-event.js';

/** Events of {@link PooledTcpServer.on}: those of the listening `net.Server`. */
export type PooledTcpServerEvents = {
  listening: () => void;
  connection: (socket: Socket) => void;
  error: (error: Error) => void;
  close: () => void;
};

/** `connected` while it listens. The values are those of Nest's own TCP server. */
export type PooledTcpServerStatus = 'connected' | 'disconnected';

/**
 * A transport strategy for any Nest microservice. Controllers, guards, pipes, interceptors and filters stay as
 * they are. Our clients speak the native protocol to it, stock Nest clients their own, on the same port.
 *
 * @example
 * ```ts
 * const app = await NestFactory.createMicroservice(AppModule, {
 *   strategy: new PooledTcpServer({ host: '127.0.0.1', port: 4000 }),
 * });
 * await app.listen();
 * ```
 */
export class PooledTcpServer
  extends Server<PooledTcpServerEvents, PooledTcpServerStatus>
  implements CustomTransportStrategy, Dispatcher, OnModuleDestroy
{
  /** That of stock TCP, so that handlers bound to `Transport.TCP` are served; `setTransportId()` changes it. */
  override transportId: TransportId = Transport.TCP;
  /**
   * The clients that are connected, to push to all of them or to a group.
   *
   * @example
   * ```ts
   * server.sessions.tagged('room:1').push('message', { text: 'hello' });
   * ```
   */
  readonly sessions: PooledTcpSessions;
  readonly #server: TcpServer;
  readonly #exceptions = new BaseRpcExceptionFilter();
  #hasProcessingHooks = false;

  /** @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, `PTCP_OPTION_CONFLICT` */
  constructor(options: PooledTcpServerOptions = {}) {
    super();
    this.#server = new TcpServer(resolveServerOptions(options), { dispatcher: this, logger: this.logger });
    this.sessions = new PooledTcpSessions(this.#server, (pattern) => this.normalizePattern(pattern as string));
    this.#server.netServer.on('close', () => {
      this._status$.next('disconnected');
    });
  }

  /** The options as they are in force: defaults applied, frozen. */
  get settings(): ServerSettings {
    return this.#server.settings;
  }

  /** The server at this moment: its address, connections and calls. Frozen. */
  stats(): ServerStats {
    return this.#server.stats();
  }

  /**
   * New certificates, for connections that come from now on: open ones go on with those they have. Options that are
   * left out stay as they are.
   *
   * @throws PooledTcpError `PTCP_UNSUPPORTED` when the server has no TLS, `PTCP_OPTION_INVALID` when the new ones cannot
   * be used: the former ones then stay
   */
  reloadTls(options: SecureContextOptions): void {
    this.#server.reloadTls(options);
  }

  /** Called by Nest. The callback is called once: with nothing, or with a `PooledTcpError` `PTCP_LISTEN_FAILED`. */
  listen(callback: (...optionalParams: unknown[]) => unknown): void {
    this.#server.listen().then(
      () => {
        // From here on an error of the listening socket concerns no caller.
        this.#server.netServer.on('error', this.#onServerError);
        this._status$.next('connected');
        callback();
      },
      (error: unknown) => {
        this._status$.next('disconnected');
        callback(error);
      },
    );
  }

  /** Stops listening, lets calls in flight finish within `drainTimeoutMs`, then closes. Idempotent. */
  async close(): Promise<void> {
    await this.#server.close();
    this.#server.netServer.off('error', this.#onServerError);
  }

  /**
   * Nest hook, for a server that is a provider of the root module: on a signal Nest destroys that module first, so
   * that handlers finish while what they use, a database in a module of its own, is still open.
   */
  async onModuleDestroy(): Promise<void> {
    await this.close();
  }

  override on<K extends keyof PooledTcpServerEvents>(event: K, callback: PooledTcpServerEvents[K]): void {
    this.#server.netServer.on(event, callback);
  }

  /** The listening `net.Server` (a `tls.Server` with TLS). */
  override unwrap<T = NetServer>(): T {
    return this.#server.netServer as T;
  }

  override setOnProcessingStartHook(hook: Parameters<Server['setOnProcessingStartHook']>[0]): void {
    this.#hasProcessingHooks = true;
    super.setOnProcessingStartHook(hook);
  }

  override setOnProcessingEndHook(hook: Parameters<Server['setOnProcessingEndHook']>[0]): void {
    this.#hasProcessingHooks = true;
    super.setOnProcessingEndHook(hook);
  }

  /** A request arrived. */
  request(call: ServerCall): void {
    const handler = this.#findHandler(call.pattern);
    if (handler === undefined) {
      call.refuse('no-handler', NO_MESSAGE_HANDLER);
      return;
    }
    const context = new PooledTcpContext(
      call.session,
      this.sessions,
      this.getPatternAsString(call.pattern),
      call.metadata,
      call,
    );
    if (!this.#hasProcessingHooks) {
      void this.#run(handler, call, context);
      return;
    }
    this.#runWithHooks(handler, call, context);
  }

  /** An event arrived. */
  event(session: Session, pattern: unknown, data: unknown, metadata: Metadata | undefined, ended: () => void): void {
    const text = this.getPatternAsString(pattern);
    const handler = this.#findHandler(pattern);
    if (handler === undefined) {
      // Any peer can bring this about, as often as it likes, and with no pattern at all: Nest's text of that is none.
      const name = (text as string | undefined)?.slice(0, 200) ?? 'undefined';
      this.#server.boundedLog.warn('no event handler', `there is no handler of event '${name}'`);
      ended();
      return;
    }
    const context = new PooledTcpContext(session, this.sessions, text, metadata, undefined);
    const run = async (): Promise<void> => {
      try {
        await runEvent(handler, data, context);
      } catch (error) {
        this.logger.error(`the handler of event '${text}' failed: ${describeCause(error)}`);
      }
      ended();
      this.#processed(context);
    };
    if (!this.#hasProcessingHooks) {
      void run();
      return;
    }
    try {
      this.onProcessingStartHook(this.transportId, context, run);
    } catch (error) {
      this.logger.error(`the processing start hook threw: ${describeCause(error)}`);
      ended();
    }
  }

  /** Nest's own instrumentation points: the start hook decides when the handler runs. A defect in one is its own. */
  #runWithHooks(handler: MessageHandler, call: ServerCall, context: PooledTcpContext): void {
    const finished = (): void => {
      this.#processed(context);
    };
    try {
      this.onProcessingStartHook(this.transportId, context, () =>
        Promise.resolve(this.#run(handler, call, context, finished)),
      );
    } catch (error) {
      this.logger.error(`the processing start hook threw: ${describeCause(error)}`);
      this.#fail(call, error);
    }
  }

  #processed(context: PooledTcpContext): void {
    try {
      const endHook = this.onProcessingEndHook as typeof this.onProcessingEndHook | undefined;
      endHook?.(this.transportId, context);
    } catch (error) {
      this.logger.error(`the processing end hook threw: ${describeCause(error)}`);
    }
  }

  /**
   * Not an async function: its own promise would be one more for each call.
   *
   * @returns where the handler is async, a promise of its end, which never rejects
   * @param finished called once the handler, and the stream it may have returned, is done
   */
  #run(
    handler: MessageHandler,
    call: ServerCall,
    context: PooledTcpContext,
    finished?: () => void,
  ): Promise<void> | undefined {
    const data = call.incoming === undefined ? call.data : new PooledTcpStream(call.incoming);
    const fail = (error: unknown): void => {
      this.#fail(call, error);
      finished?.();
    };
    let outcome: unknown;
    try {
      outcome = handler(data, context);
    } catch (error) {
      fail(error);
      return undefined;
    }
    if (!(outcome instanceof Promise)) {
      this.#answer(outcome, call, finished);
      return undefined;
    }
    return outcome.then((result: unknown) => {
      this.#answer(result, call, finished);
    }, fail);
  }

  #answer(result: unknown, call: ServerCall, finished: (() => void) | undefined): void {
    // Apart from streams, and from the closures that those take: nearly every answer is one value.
    if (isReplyStream(result)) {
      this.#stream(result, call, finished);
      return;
    }
    call.respond(result);
    finished?.();
  }

  #stream(stream: ReplyStream, call: ServerCall, finished: (() => void) | undefined): void {
    reply(stream, call, {
      failed: (error) => {
        this.#fail(call, error);
      },
      threw: (error) => {
        // Nest's filters surround the handler, which has returned long since: what they do by default is done here,
        // where no host is looked at.
        this.#exceptions.catch(error, NO_HOST).subscribe({
          error: (answer: unknown) => {
            this.#fail(call, answer);
          },
        });
      },
      finished: once(finished),
      stopped: (error) => {
        this.logger.warn(
          `the handler of '${String(call.pattern)}' failed while it was stopped: ${describeCause(error)}`,
        );
      },
    });
  }

  /** What Nest's filters made of an exception goes to the caller as it is; a bare `Error` would be `{}` as JSON. */
  #fail(call: ServerCall, error: unknown): void {
    call.fail(error instanceof Error ? Object.assign({ status: 'error' }, error, { message: error.message }) : error);
  }

  /**
   * The pattern as it came is the key in nearly all cases. Nest's own way to a handler parses each pattern as JSON, which
   * takes microseconds where it is none, since that throws: here only what may be JSON goes there.
   */
  #findHandler(pattern: unknown): MessageHandler | undefined {
    if (typeof pattern === 'string') {
      const handler = this.messageHandlers.get(pattern);
      if (handler !== undefined || !MAY_BE_JSON.test(pattern)) return handler;
    }
    return this.getHandlerByPattern(this.getPatternAsString(pattern)) ?? undefined;
  }

  readonly #onServerError = (error: Error): void => {
    this.logger.error(`the listening socket failed: ${error.message}`);
  };
}

const NO_HOST = {} as ArgumentsHost;

/** How text begins that `JSON.parse()` does not refuse at its first character. */
const MAY_BE_JSON = /^[\s{["\-\dtfn]/;

/** A stream may be cancelled after its handler has ended, while the last of it waits for the client. */
function once(callback: (() => void) | undefined): () => void {
  let left = callback;
  return () => {
    const call = left;
    left = undefined;
    call?.();
  };
}
