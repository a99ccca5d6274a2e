import { TcpContext, type TcpSocket } from '@nestjs/microservices';
import type { Metadata } from '../protocol/messages.js';
import type { Principal } from '../server/authentication.js';
import type { ServerCall } from '../server/server-call.js';
import type { Session } from '../server/session.js';
import { tlsIdentity } from '../server/tls-identity.js';
import { SessionSocket } from './session-socket.js';

/** What a handler may know of the connection its call came on. */
export interface PooledTcpSession {
  /** Address of the client. */
  readonly peer: string;
  /** `native` for our clients, `nest-json` for stock Nest ones. */
  readonly protocol: string;
  /** Subject of the client's certificate, where mutual TLS has verified one. */
  readonly tlsIdentity: string | undefined;
  /** Who the client is, as the server's `authenticate` has said; undefined without it. */
  readonly principal: Principal | undefined;
  /** State that lives as long as the connection. */
  readonly data: Map<unknown, unknown>;
  /**
   * Sends a message that answers no request; the client gets it with `pushes(pattern)`.
   *
   * @throws PooledTcpError `PTCP_UNSUPPORTED` for a stock client, `PTCP_CONNECTION_LOST`
   */
  push(pattern: string, data: unknown): void;
}

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
  readonly #call: ServerCall | undefined;

  constructor(session: Session, pattern: string, metadata: Metadata | undefined, call: ServerCall | undefined) {
    super([socketOf(session) as unknown as TcpSocket, pattern, metadata as Record<string, string>]);
    this.#session = session;
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

  /** The connection the call came on. */
  getSession(): PooledTcpSession {
    const session = this.#session;
    return {
      peer: session.peer,
      protocol: session.protocol,
      tlsIdentity: tlsIdentity(session.transport),
      principal: session.principal,
      data: session.data,
      push: (pattern, data) => {
        session.push(pattern, data);
      },
    };
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
