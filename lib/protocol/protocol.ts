import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { CallId, EncodedMessage, FailureKind, GoawayNotice, OutgoingMessage } from './messages.js';
import type { PushWriter } from './push-writer.js';

export type ProtocolName = 'native' | 'nest-json' | 'foreign';

/** One connection's protocol, seen from either side. */
export interface Protocol {
  readonly name: ProtocolName;
  /**
   * Takes received bytes and calls the sink for each message.
   *
   * @throws PooledTcpError when the connection cannot go on
   */
  receive(chunk: Buffer): void;
  /** The peer ended the stream; throws when a frame was cut short. */
  end(): void;
  /** Whether the peer answers {@link ping}. */
  readonly hasHeartbeat: boolean;
  /** False while a question would get between a call and its reply; a call in flight says enough. Default true. */
  readonly mayPing?: boolean;
  ping(token: number): void;
  pong(token: number): void;
  /** Whether a stream waits for credit; where not, the socket alone says when a peer is slow. */
  readonly hasCredit: boolean;
  /** One value of a stream. @returns what it takes of the stream's credit, in bytes */
  item(id: CallId, data: unknown): number;
  /** The same value as bytes, to be written once there is credit. */
  encodeItem(id: CallId, data: unknown): EncodedMessage;
  /** Writes what {@link encodeItem} made, whose bytes the caller holds, and releases them. Never throws for want of room. */
  writeEncoded(id: CallId, item: EncodedMessage): void;
  /** The stream, or the call, is over without a further value. */
  completed(id: CallId): void;
  /** So many bytes more of a stream may be sent to this side. */
  credit(id: CallId, bytes: number): void;
  /** Sends what it keeps back for the sake of other messages. */
  flush(): void;
  /** The connection is gone: whoever waits for something to be written learns that it never will. */
  closed(): void;
}

/** The client's side: requests out, replies in. Methods that write throw before any byte is written. */
export interface ClientProtocol extends Protocol {
  /** @param timeoutMs what is left for the call; 0 for no deadline */
  request(id: number, message: OutgoingMessage, timeoutMs: number): void;
  /** @returns where an async serializer has to be waited for, a promise of the event having been written */
  event(message: OutgoingMessage): Promise<void> | undefined;
  cancel(id: number): void;
  /** What the call streams to the server has failed. */
  failure(id: number, error: unknown): void;
  /** Whether the message, or a part of it, is kept back: it cannot have reached a handler. */
  isHeld(id: number): boolean;
  /** The protocol's own goodbye, on a connection without calls; undefined where it says none. */
  logout?(): Promise<void> | undefined;
}

/** A message of which only a part has come. */
export interface PartialMessage {
  /** Which of the connection's messages it is, so that two can be told apart. */
  readonly number: number;
  readonly bytes: number;
}

/** The server's side: requests in, replies out. Methods that write throw before any byte is written. */
export interface ServerProtocol extends Protocol {
  /** Bytes that have arrived of a frame which is not whole yet; 0 between frames. */
  readonly partialBytes: number;
  /** The message that is coming in fragments; undefined where none is, or the wire has none. */
  readonly partialMessage?: PartialMessage | undefined;
  /** Whether a frame has arrived, readable or not. */
  readonly hasFrame: boolean;
  /** The client is there, and has said nothing yet. */
  accepted?(): void;
  /** The client has cancelled the call: what is kept back of its answers is dropped. */
  cancelled(id: CallId): void;
  response(id: CallId, data: unknown): void;
  failure(id: CallId, kind: FailureKind, error: unknown): void;
  push(route: string, data: unknown): void;
  /** For pushes that may wait; where it is missing, {@link push} is all there is. */
  readonly pushWriter?: PushWriter | undefined;
  goaway(notice: GoawayNotice): void;
}

/** Which protocol a client or server speaks; made by {@link native} and {@link nestJson}. */
export interface ProtocolChoice {
  readonly protocol: ProtocolName;
}

/**
 * Only the native protocol: as a client, a stock Nest server is refused with `PTCP_PROTOCOL_MISMATCH`;
 * as a server, stock Nest clients are.
 */
export function native(): ProtocolChoice {
  return Object.freeze({ protocol: 'native' });
}

/** Only Nest's own TCP wire format, without the hello: for stock peers that must not see one. */
export function nestJson(): ProtocolChoice {
  return Object.freeze({ protocol: 'nest-json' });
}

/** The error for a message that this side never receives, or that breaks the protocol otherwise. */
export function violation(what: string): PooledTcpError {
  return new PooledTcpError('PTCP_PROTOCOL_VIOLATION', `the peer broke the protocol: ${what}`);
}
