import type { Principal } from '../server/authentication.js';
import type { PushOptions } from '../server/push/push-settings.js';
import type { TcpServer } from '../server/server.js';
import type { Session } from '../server/session.js';
import { tlsIdentity } from '../server/tls-identity.js';

/** What a server knows of one client’s connection, and can do with it. One object for as long as it is open. */
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
  /** Fires when the connection is gone; the reason is a `PooledTcpError`. */
  readonly signal: AbortSignal;
  /** The groups it is in. */
  readonly tags: ReadonlySet<string>;
  /** Joins groups, which it leaves by itself when it closes. One that is closed already joins none. */
  tag(...tags: string[]): void;
  /** Leaves groups. */
  untag(...tags: string[]): void;
  /**
   * Sends a message that answers no request; the client gets it with `pushes(pattern)` or `@OnPush(pattern)`. While the
   * client does not read as fast, pushes wait, and what becomes of them then is up to `slowReader`.
   *
   * @param pattern as in `@MessagePattern()`
   * @throws PooledTcpError `PTCP_UNSUPPORTED` for a stock client, `PTCP_CONNECTION_LOST`,
   * `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`
   */
  push(pattern: unknown, data: unknown, options?: PushOptions): void;
}

/** Some of the clients that are connected, looked up each time it is used. */
export interface SessionGroup extends Iterable<PooledTcpSession> {
  /** How many there are now. */
  readonly size: number;
  /**
   * Pushes to each of them. Encoded once for all that take the same bytes. A stock client is left out, and so is one
   * for which the message is too large (the log says so).
   *
   * @returns to how many it went, or waits for
   * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`
   */
  push(pattern: unknown, data: unknown, options?: PushOptions): number;
}

/** The clients that are connected to a server: all of them, or a group by its tag. */
export class PooledTcpSessions implements SessionGroup {
  readonly #server: TcpServer;
  readonly #route: (pattern: unknown) => string;
  /** Made when somebody first asks for a session. */
  readonly #facades = new WeakMap<Session, PooledTcpSession>();

  /** @param route Nest's key of a pattern */
  constructor(server: TcpServer, route: (pattern: unknown) => string) {
    this.#server = server;
    this.#route = route;
  }

  get size(): number {
    return this.#sizeOf(this.#server.sessions);
  }

  [Symbol.iterator](): Generator<PooledTcpSession, void, undefined> {
    return this.#each(this.#server.sessions);
  }

  push(pattern: unknown, data: unknown, options: PushOptions = {}): number {
    return this.#server.push(open(this.#server.sessions), this.#route(pattern), data, options);
  }

  /** Those that carry a tag. A group needs no creation, and none is left when the last has gone. */
  tagged(tag: string): SessionGroup {
    const members = (): ReadonlySet<Session> => this.#server.tags.membersOf(tag);
    const each = (): Generator<PooledTcpSession, void, undefined> => this.#each(members());
    const sizeOf = (): number => this.#sizeOf(members());
    return {
      get size() {
        return sizeOf();
      },
      push: (pattern, data, options = {}) => this.#server.push(open(members()), this.#route(pattern), data, options),
      [Symbol.iterator]: each,
    };
  }

  /** @internal The session of a handler's context. */
  of(session: Session): PooledTcpSession {
    let facade = this.#facades.get(session);
    if (facade === undefined) {
      facade = new SessionFacade(session, this.#route);
      this.#facades.set(session, facade);
    }
    return facade;
  }

  *#each(sessions: Iterable<Session>): Generator<PooledTcpSession, void, undefined> {
    for (const session of open(sessions)) yield this.of(session);
  }

  #sizeOf(sessions: Iterable<Session>): number {
    let size = 0;
    for (const session of sessions) if (session.isOpen) size += 1;
    return size;
  }
}

/** Without those that have not shown who they are, and those that are told why they must go. */
function* open(sessions: Iterable<Session>): Generator<Session, void, undefined> {
  for (const session of sessions) if (session.isOpen) yield session;
}

class SessionFacade implements PooledTcpSession {
  readonly #session: Session;
  readonly #route: (pattern: unknown) => string;

  constructor(session: Session, route: (pattern: unknown) => string) {
    this.#session = session;
    this.#route = route;
  }

  get peer(): string {
    return this.#session.peer;
  }

  get protocol(): string {
    return this.#session.protocol;
  }

  get tlsIdentity(): string | undefined {
    return tlsIdentity(this.#session.transport);
  }

  get principal(): Principal | undefined {
    return this.#session.principal;
  }

  get data(): Map<unknown, unknown> {
    return this.#session.data;
  }

  get signal(): AbortSignal {
    return this.#session.signal;
  }

  get tags(): ReadonlySet<string> {
    return this.#session.tags;
  }

  tag(...tags: string[]): void {
    for (const tag of tags) this.#session.tag(tag);
  }

  untag(...tags: string[]): void {
    for (const tag of tags) this.#session.untag(tag);
  }

  push(pattern: unknown, data: unknown, options?: PushOptions): void {
    this.#session.push(this.#route(pattern), data, options);
  }
}
