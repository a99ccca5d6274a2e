import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { IncomingWindow } from './incoming-window.js';
import type { OutgoingStream } from './outgoing-stream.js';

/**
 * One call in flight on a client's connection. A call ends exactly once: with `onResponse`, `onEnd`,
 * `onFailure` or `onHandlerFailure`; any number of `onItem` may come before. None of them may throw.
 */
export abstract class Call {
  /** Its number on the connection; written by the connection. */
  id = 0;
  /** The flush its bytes leave with; written by the connection. */
  flush = 0;
  /** What it streams to the server; written by the connection. */
  outgoing: OutgoingStream | undefined;
  /** Of what the server streams to it; written by the connection. */
  incoming: IncomingWindow | undefined;

  /** The only or last value. */
  abstract onResponse(data: unknown): void;
  /** @param bytes to be reported to the connection once the item has been taken */
  abstract onItem(data: unknown, bytes: number): void;
  abstract onEnd(): void;
  /** The server has made room for what the call streams. */
  abstract onCredit(): void;
  /** The call failed on its way: the connection, the protocol, the server's refusal. */
  abstract onFailure(error: PooledTcpError): void;
  /** The handler answered with an error, passed on as it came. */
  abstract onHandlerFailure(error: unknown): void;
}
