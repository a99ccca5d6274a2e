import type { Metadata } from '../protocol/messages.js';

/** Options of one request. */
export interface RequestOptions {
  /** Time for the reply, waiting for a connection included, in milliseconds. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Gives up when it fires; the server is told. */
  readonly signal?: AbortSignal | undefined;
  /** Strings that travel beside the data; the handler reads them with `context.getMetadata()`. */
  readonly metadata?: Metadata | undefined;
}

/** Options of `PooledTcpClient.acquire()`. */
export interface AcquireLeaseOptions {
  /** Time to get a connection, in milliseconds. Default `pool.acquireTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Gives up waiting when it fires. */
  readonly signal?: AbortSignal | undefined;
}
