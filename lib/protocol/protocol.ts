import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { CallId, FailureKind, GoawayNotice, OutgoingMessage } from './messages.js';

export type ProtocolName = 'native' | 'nest-json';

/** One connection's protocol, seen from either side. */
interface Protocol {
  readonly name: ProtocolName;
  /**
   * Takes received bytes and calls the sink for each message.
   *
   * @throws PooledTcpError when the connection cannot go on
   */
  receive(chunk: Buffer): void;
  /** The peer ended the stream; throws when a frame was cut short. */
  end(): void;
  ping(token: number): void;
  pong(token: number): void;
}

/** The client's side: requests out, replies in. Methods that write throw before any byte is written. */
export interface ClientProtocol extends Protocol {
  /** @param timeoutMs what is left for the call; 0 for no deadline */
  request(id: number, message: OutgoingMessage, timeoutMs: number): void;
  /** @returns where an async serializer has to be waited for, a promise of the event having been written */
  event(message: OutgoingMessage): Promise<void> | undefined;
  cancel(id: number): void;
}

/** The server's side: requests in, replies out. Methods that write throw before any byte is written. */
export interface ServerProtocol extends Protocol {
  response(id: CallId, data: unknown): void;
  item(id: CallId, data: unknown): void;
  completed(id: CallId): void;
  failure(id: CallId, kind: FailureKind, error: unknown): void;
  push(route: string, data: unknown): void;
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
