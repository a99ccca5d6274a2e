import type { PooledTcpError } from '../errors/pooled-tcp-error.js';

/**
 * One call in flight on a client's connection. A call ends exactly once: with `onResponse`, `onEnd`,
 * `onFailure` or `onHandlerFailure`; any number of `onItem` may come before. None of them may throw.
 */
export abstract class Call {
  /** Its number on the connection; written by the connection. */
  id = 0;
  /** The flush its bytes leave with; written by the connection. */
  flush = 0;

  /** The only or last value. */
  abstract onResponse(data: unknown): void;
  abstract onItem(data: unknown): void;
  abstract onEnd(): void;
  /** The call failed on its way: the connection, the protocol, the server's refusal. */
  abstract onFailure(error: PooledTcpError): void;
  /** The handler answered with an error, passed on as it came. */
  abstract onHandlerFailure(error: unknown): void;
}
