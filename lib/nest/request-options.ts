import type { ReplyObserver } from '../client/active-call.js';
import { MAX_TIMER_MS, refuse } from '../common/options.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Metadata, OutgoingMessage } from '../protocol/messages.js';

/** Options of one request. */
export interface RequestOptions {
  /**
   * Time for the reply, waiting for a connection included, in milliseconds; `Infinity` for none. What is left of a
   * deadline may be given as it is: 0 or less fails at once, unsent. Default `requestTimeoutMs`.
   */
  readonly timeoutMs?: number | undefined;
  /** Gives up when it fires; the server is told. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The handler may run twice without harm: a request that was lost after it was sent is sent again, within `retry`, and
   * one that takes long may be made a second time, as `hedge` says.
   */
  readonly idempotent?: boolean | undefined;
  /** Sends requests with the same key to the same server, as long as it is there. */
  readonly key?: string | undefined;
  /** Strings that travel beside the data; the handler reads them with `context.getMetadata()`. */
  readonly metadata?: Metadata | undefined;
}

/** Options of `PooledTcpClient.acquire()`. */
export interface AcquireLeaseOptions {
  /** Borrows at the server that requests with this key go to. */
  readonly key?: string | undefined;
  /** Time to get a connection, in milliseconds. Default `pool.acquireTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Gives up waiting when it fires. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether what is sent on the lease runs one after another: each request begins once the one before is over, and the
   * time it waits counts. For servers that keep state between the calls of one connection. Default false: all at once.
   */
  readonly serial?: boolean | undefined;
}

/**
 * The time of one call as the engine takes it, where 0 is none; undefined when the call has failed already, because
 * no time was left.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`
 */
export function callTimeout(given: number | undefined, fallback: number, reply: ReplyObserver): number | undefined {
  if (given === undefined) return fallback;
  const timeoutMs = checkedTimeout(given);
  if (timeoutMs > 0) return timeoutMs > MAX_TIMER_MS ? 0 : timeoutMs;
  reply.failed(
    new PooledTcpError('PTCP_REQUEST_TIMEOUT', `no time was left for the request (timeoutMs ${timeoutMs})`, {
      elapsedMs: 0,
    }),
  );
  return undefined;
}

/** An event is one value. @throws PooledTcpError `PTCP_UNSUPPORTED` for a stream */
export function eventMessage(message: OutgoingMessage): OutgoingMessage {
  if (message.isStreaming !== true) return message;
  throw new PooledTcpError('PTCP_UNSUPPORTED', `an event carries no stream; send '${message.route}' as a request`);
}

/** The time of one acquire: 0 or less does not wait. @throws PooledTcpError `PTCP_OPTION_INVALID` */
export function acquireTimeout(given: number | undefined): number | undefined {
  return given === undefined ? undefined : Math.min(Math.max(checkedTimeout(given), 0), MAX_TIMER_MS);
}

/** @throws PooledTcpError `PTCP_OPTION_INVALID` */
export function checkedTimeout(timeoutMs: unknown): number {
  if (typeof timeoutMs === 'number' && !Number.isNaN(timeoutMs)) return timeoutMs;
  return refuse('timeoutMs', timeoutMs, 'a number of milliseconds');
}
