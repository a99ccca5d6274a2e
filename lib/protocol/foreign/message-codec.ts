/** What identifies a message in a foreign protocol: a sequence number, a trace number. */
export type ForeignId = number | string | bigint;

/**
 * A message on its way out.
 *
 * - `request`: a call of ours, which wants a reply
 * - `event`: wants none
 * - `reply`, `error`: answer a request of the peer, or a push of its
 * - `push`: a server's message that answers no request
 */
export type ForeignMessageKind = 'request' | 'event' | 'reply' | 'error' | 'push';

/** What {@link MessageCodec.encode} turns into bytes. What `encode` does not need it leaves alone. */
export interface ForeignMessage {
  readonly kind: ForeignMessageKind;
  /**
   * Of a request or push: a number from 1 to `maxId`, which no other message of this connection in flight has. Of a reply
   * or error: the id of what it answers, as `decode` returned it. Events have none.
   */
  readonly id?: ForeignId | undefined;
  /** Of a request or event: as the caller wrote it. Of a push: the route. Of a reply: what it answers. */
  readonly pattern: unknown;
  readonly data?: unknown;
  /** Of an `error`: what the handler threw, as Nest's filters made it, or `{ status, code, message }` of a refusal. */
  readonly error?: unknown;
  /** True for a push, so that a codec which writes the whole message, as JSON, is read back by its own `decode`. */
  readonly push?: true | undefined;
  /** True for an event, for the same reason. */
  readonly event?: true | undefined;
  /** Strings beside the data, where the caller gave some. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Of a reply or error: the message that it answers, as `decode` returned it. Not enumerable. */
  readonly request?: DecodedMessage | undefined;
}

/** What {@link MessageCodec.decode} makes of a frame. Fields that it does not know are allowed, and come back in `request`. */
export interface DecodedMessage {
  /** Which message it is, or which it answers. Without ids, a reply answers the call in flight. */
  readonly id?: ForeignId | undefined;
  /** What it is about: at a server, the handler's pattern. */
  readonly pattern?: unknown;
  readonly data?: unknown;
  /** The peer answers with an error: the caller gets it as it is, as a handler's error. */
  readonly error?: unknown;
  /** At a client: nobody asked for it. The route for `client.pushes(route)`, or true where `pattern` is the route. */
  readonly push?: string | boolean | undefined;
  /** At a server: wants no answer, and goes to an `@EventPattern`. */
  readonly event?: boolean | undefined;
  /** Data of an answer that is sent at once, without a handler. At a client: to a push. */
  readonly answer?: unknown;
  /** The protocol's own keep-alive: the peer's question, or its answer to ours. */
  readonly heartbeat?: 'ask' | 'answer' | undefined;
  /** The peer says goodbye: it takes no new calls on this connection. Or why, in words. */
  readonly goaway?: boolean | string | undefined;
}

/** Calls of a connection that nobody else uses yet, or any more: for a login or a logout. */
export interface ForeignConnection {
  /** Address of the peer. */
  readonly peer: string;
  /**
   * Sends a request and resolves with the data of its reply.
   *
   * @param options.timeoutMs time for the reply; default: what the whole exchange has
   * @throws PooledTcpError `PTCP_HANDLER_FAILED` with what the peer answered as `cause`, `PTCP_REQUEST_TIMEOUT`, and
   * whatever closes the connection
   */
  request<T = unknown>(
    pattern: unknown,
    data?: unknown,
    options?: { readonly timeoutMs?: number | undefined },
  ): Promise<T>;
  /** Sends a message that wants no reply. */
  send(pattern: unknown, data?: unknown): void;
  /** The next message that answers nothing: for peers that speak first, with a greeting or a challenge. */
  receive(options?: { readonly timeoutMs?: number | undefined }): Promise<DecodedMessage>;
}

/** A client as a server's codec sees it, when it has just connected. */
export interface ForeignSession {
  /** Address of the client. */
  readonly peer: string;
  /** State that lives as long as the connection: what handlers find in `context.getSession().data`. */
  readonly data: Map<unknown, unknown>;
  /** Sends a message that answers no request, such as a greeting. */
  readonly push: (pattern: string, data?: unknown) => void;
}

/** A push that wants an answer of the application's. */
export interface ForeignPush {
  readonly route: string;
  readonly data: unknown;
  /** Address of the server. */
  readonly peer: string;
  /** The message as `decode` returned it. */
  readonly message: DecodedMessage;
}

/** The keep-alive of a protocol. When it is asked, and how often, the option `heartbeat` says. */
export interface ForeignHeartbeat {
  /**
   * The question. Its answer is the message with the same id, or, without ids, the next one; or one for which `decode`
   * returns `heartbeat: 'answer'`.
   */
  ask(id: number): Buffer;
  /** The answer to a message for which `decode` returned `heartbeat: 'ask'`. Left out: it wants none. */
  answer?(question: DecodedMessage): Buffer;
}

/**
 * The messages of a foreign protocol, for `codec` beside `framing`: the same object can serve both ends. `encode` and
 * `decode` are enough; the rest is for protocols that have more. Shared by all connections, so it keeps no state of one.
 *
 * @example
 * ```ts
 * const codec: MessageCodec = {
 *   encode: ({ pattern, data }) => Buffer.from(`${pattern as string}${data as string}`),
 *   decode: (frame) => ({ pattern: frame.toString('latin1', 0, 4), data: frame.toString('latin1', 4) }),
 * };
 * ```
 */
export interface MessageCodec {
  /** The payload of one frame. The bytes must not change afterwards. What it throws fails this message, unsent. */
  encode(message: ForeignMessage): Buffer;
  /**
   * What a frame says. What it throws closes the connection: the ends do not understand each other.
   *
   * @param request at a client without ids, the request whose reply is awaited, undefined while none is: for replies that
   * can be read only by what was asked, and to refuse one that does not fit, which would shift all that follow by one
   */
  decode(frame: Buffer, request?: ForeignMessage): DecodedMessage;
  /**
   * How replies find their calls. `id`: by the id that `decode` returns; any number of calls at once. `serial`: one call at a
   * time on a connection. Left out, it is found out: a codec whose `encode` reads `message.id` of its first request
   * correlates by id, any other is serial.
   */
  readonly correlation?: 'id' | 'serial' | undefined;
  /** Largest id the protocol's field holds; after it comes 1 again. Default 4 294 967 295, 32 bits. */
  readonly maxId?: number | undefined;
  /** The protocol's keep-alive; left out: the kernel's alone watches the connection. */
  readonly heartbeat?: ForeignHeartbeat | undefined;
  /** At a client: the login, within `pool.connectTimeoutMs`. What it throws fails the dial with `PTCP_HANDSHAKE_FAILED`. */
  onConnect?(connection: ForeignConnection): Promise<void> | void;
  /**
   * At a client: the logout, before a connection is closed that carries no call. It has a few seconds.
   *
   * @param closing.goaway what the peer has said goodbye with, where it did so first: often nothing is left to say then
   */
  onClose?(connection: ForeignConnection, closing: { readonly goaway: string | undefined }): Promise<void> | void;
  /** At a client: answers a push with what it returns; undefined leaves it at `answer` of the decoded message. */
  onPush?(push: ForeignPush): unknown;
  /** At a server: a client has connected, and has said nothing yet. */
  onAccept?(session: ForeignSession): void;
  /** At a server: what a client is told before its connection is closed, a server's logout; undefined for nothing. */
  goaway?(notice: { readonly code?: string | undefined; readonly message: string }, id: number): Buffer | undefined;
}

/** The largest id where a codec does not say. */
export const DEFAULT_MAX_ID = 2 ** 32 - 1;

export function isMessageCodec(value: unknown): value is MessageCodec {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<MessageCodec>).encode === 'function' &&
    typeof (value as Partial<MessageCodec>).decode === 'function'
  );
}
