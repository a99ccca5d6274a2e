import type { PooledTcpErrorCode } from '../errors/codes.js';
import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Output } from '../framing/output.js';
import { isRecord } from './json.js';

/** Names one call on one connection. Ours are integers; stock Nest clients send strings. */
export type CallId = number | string;

/** Out-of-band strings that travel with a message: a trace id, a tenant (Nest's `packet.metadata`). */
export type Metadata = Readonly<Record<string, string>>;

/** A request or event as the client hands it to a protocol. */
export interface OutgoingMessage {
  /** The pattern as the user wrote it: a string, a number or an object. */
  readonly pattern: unknown;
  /** The pattern as Nest normalises it: the key of the handler map. */
  readonly route: string;
  readonly data: unknown;
  readonly metadata: Metadata | undefined;
  /** The data is no value, but follows as the items of a stream. */
  readonly isStreaming?: boolean | undefined;
}

/** Why a call failed, as far as the wire says. */
export type FailureKind =
  'handler' | 'no-handler' | 'overloaded' | 'deadline' | 'unserializable' | 'malformed' | 'too-large' | 'overflow';

/** How each kind of failure is known on the wire and to the caller; the index is the native protocol's number. */
export const FAILURES: readonly { kind: FailureKind; code: PooledTcpErrorCode; sent: boolean }[] = [
  { kind: 'handler', code: 'PTCP_HANDLER_FAILED', sent: true },
  { kind: 'no-handler', code: 'PTCP_NO_HANDLER', sent: false },
  { kind: 'overloaded', code: 'PTCP_SERVER_OVERLOADED', sent: false },
  { kind: 'deadline', code: 'PTCP_DEADLINE_EXCEEDED', sent: false },
  { kind: 'unserializable', code: 'PTCP_PAYLOAD_UNSERIALIZABLE', sent: true },
  // Also what a client says of an answer that does not parse: its handler has run.
  { kind: 'malformed', code: 'PTCP_PAYLOAD_MALFORMED', sent: true },
  { kind: 'too-large', code: 'PTCP_FRAME_TOO_LARGE', sent: true },
  { kind: 'overflow', code: 'PTCP_WRITE_OVERFLOW', sent: true },
];

const BY_KIND = Object.fromEntries(FAILURES.map((failure) => [failure.kind, failure])) as Readonly<
  Record<FailureKind, (typeof FAILURES)[number]>
>;

/** How a kind of failure is known to the caller. */
export function failureOf(kind: FailureKind): (typeof FAILURES)[number] {
  return BY_KIND[kind];
}

export function isMetadata(value: unknown): value is Metadata {
  return isRecord(value) && Object.values(value).every((entry) => typeof entry === 'string');
}

/** What a client hears from its peer. */
export interface ClientSink {
  /** The only or last value of a call, which is over. */
  response(id: number, data: unknown): void;
  /** One value of a stream; more may follow. @param bytes what it takes of the stream's credit */
  item(id: number, data: unknown, bytes: number): void;
  /** The call is over without a further value. */
  end(id: number): void;
  /** The call is over; for kind `handler`, `error` is what the handler answered. */
  failure(id: number, kind: FailureKind, error: unknown): void;
  /** So many bytes more of the stream that the call sends may be under way. */
  credit(id: number, bytes: number): void;
  /** A request could not be sent after all: an async serializer threw, or made too large a frame of it. */
  unsent(id: number, error: PooledTcpError): void;
  push(route: string, data: unknown): void;
  ping(token: number): void;
  pong(token: number): void;
  goaway(notice: GoawayNotice): void;
  /** A whole frame whose content is unreadable, and that names no call; the stream itself is in step. */
  malformed(error: PooledTcpError): void;
}

/** What a server hears from its peer. */
export interface ServerSink {
  /**
   * @param timeoutMs what is left of the caller's deadline when it sent the request
   * @param isStreaming the data follows as items
   */
  request(
    id: CallId,
    pattern: unknown,
    data: unknown,
    metadata: Metadata | undefined,
    timeoutMs: number | undefined,
    isStreaming: boolean,
  ): void;
  /** One value of what the client streams to a call. @param bytes what it takes of the stream's credit */
  item(id: CallId, data: unknown, bytes: number): void;
  /** The client has streamed all it had. */
  end(id: CallId): void;
  /** What the client streams has failed at its source, or is unreadable. */
  failure(id: CallId, kind: FailureKind, error: unknown): void;
  /** So many bytes more of the call's answers may be under way. */
  credit(id: CallId, bytes: number): void;
  event(pattern: unknown, data: unknown, metadata: Metadata | undefined): void;
  cancel(id: CallId): void;
  ping(token: number): void;
  pong(token: number): void;
  goaway(notice: GoawayNotice): void;
  /** A whole frame whose content is unreadable, and that names no call; the stream itself is in step. */
  malformed(error: PooledTcpError): void;
}

/** The peer will take no new calls on this connection. */
export interface GoawayNotice {
  /** Why; an error code when the peer closes because of something we sent. */
  readonly code?: PooledTcpErrorCode | undefined;
  readonly message: string;
}

/** Where a protocol puts its bytes. */
export interface MessageWriter {
  readonly output: Output;
  /** Bytes were added to the output: they leave at the end of this tick. */
  schedule(): void;
  /**
   * So many bytes are kept back, until the peer has taken what it has; a negative number leaves or is dropped.
   *
   * @throws PooledTcpError `PTCP_WRITE_OVERFLOW` when more than `maxPendingWriteBytes` would wait for the peer
   */
  hold(bytes: number): void;
}

/** A message as bytes, kept back until its time. */
export interface EncodedMessage {
  readonly bytes: number;
  readonly parts: readonly Buffer[];
}
