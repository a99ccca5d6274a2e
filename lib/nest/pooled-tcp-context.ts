import { TcpContext, type TcpSocket } from '@nestjs/microservices';
import type { Metadata } from '../protocol/messages.js';
import type { ServerCall } from '../server/server-call.js';
import type { Session } from '../server/session.js';
import type { PooledTcpSession, PooledTcpSessions } from './pooled-tcp-sessions.js';
import { SessionSocket } from './session-socket.js';

/**
 * Context of a handler under `PooledTcpServer`: the getters of Nest's `TcpContext`, and what the native
 * protocol adds.
 *
 * @example
 * ```ts
 * @MessagePattern('report')
 * report(@Payload() query: Query, @Ctx() context: PooledTcpContext) {
 *   return this.reports.run(query, { signal: context.getSignal() });
 * }
 * ```
 */
export class PooledTcpContext extends TcpContext {
  readonly #session: Session;
  readonly #sessions: PooledTcpSessions;
  readonly #call: ServerCall | undefined;

  constructor(
    session: Session,
    sessions: PooledTcpSessions,
    pattern: string,
    metadata: Metadata | undefined,
    call: ServerCall | undefined,
  ) {
    super([socketOf(session) as unknown as TcpSocket, pattern, metadata as Record<string, string>]);
    this.#session = session;
    this.#sessions = sessions;
    this.#call = call;
  }

  /** What the client attached to the message, if anything. */
  override getMetadata(): Record<string, string> | undefined {
    return this.getArgByIndex(2) as Record<string, string> | undefined;
  }

  /** Aborted when the caller cancels, disconnects or passes its deadline. For an event: never. */
  getSignal(): AbortSignal {
    return this.#call?.signal ?? NEVER.signal;
  }

  /** When the caller gives up, where it said. */
  getDeadline(): Date | undefined {
    const deadline = this.#call?.deadline;
    return deadline === undefined ? undefined : new Date(deadline);
  }

  /**
   * Resolves when the next value that the handler's Observable emits would leave at once, or when nobody wants it any
   * more. For sources that can wait; an async iterable that the handler returns is paced without it.
   */
  whenWritable(): Promise<void> {
    return this.#call?.whenWritable() ?? Promise.resolve();
  }

  /** The connection the call came on: the same object for all its calls. */
  getSession(): PooledTcpSession {
    return this.#sessions.of(this.#session);
  }
}

const NEVER = new AbortController();

/** One facade a session, made when a handler first runs on it. */
const sockets = new WeakMap<Session, SessionSocket>();

function socketOf(session: Session): SessionSocket {
  let socket = sockets.get(session);
  if (socket === undefined) {
    socket = new SessionSocket(session);
    sockets.set(session, socket);
  }
  return socket;
}
