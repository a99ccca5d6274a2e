import type { PooledTcpErrorCode } from './codes.js';

/** What a failure knows about itself, beside its code and message. */
export interface PooledTcpErrorDetails {
  /** Whether the request can have reached a handler. Default `false`. */
  readonly sent?: boolean | undefined;
  /** Address of the peer, e.g. `127.0.0.1:4000`. */
  readonly peer?: string | undefined;
  /** Milliseconds between the start of the operation and its failure. */
  readonly elapsedMs?: number | undefined;
  /** The error underneath, or what a remote handler answered. */
  readonly cause?: unknown;
}

/**
 * Every failure of this library. Branch on {@link code}; the message is for people and may change.
 *
 * @example
 * ```ts
 * try {
 *   await orders.request('sum', [1, 2]);
 * } catch (err) {
 *   if (err instanceof PooledTcpError && !err.sent) retryElsewhere();
 * }
 * ```
 */
export class PooledTcpError extends Error {
  /** Permanent code; all of them are listed in `docs/errors.md`. */
  readonly code: PooledTcpErrorCode;
  /** `false`: no handler can have run, so repeating the call is safe. `true`: one may have. */
  readonly sent: boolean;
  /** Address of the peer, where there was one. */
  readonly peer: string | undefined;
  /** Milliseconds between the start of the operation and its failure, where that was measured. */
  readonly elapsedMs: number | undefined;

  constructor(code: PooledTcpErrorCode, message: string, details: PooledTcpErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.sent = details.sent ?? false;
    this.peer = details.peer;
    this.elapsedMs = details.elapsedMs;
  }

  static {
    // On the prototype: not an own property of each error, as with the built-in errors.
    Object.defineProperty(this.prototype, 'name', { value: 'PooledTcpError', configurable: true, writable: true });
  }
}

/** The text of anything that was thrown, for the end of a message. */
export function describeCause(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '') return cause.errors.map(describeCause).join('; ');
  if (cause instanceof Error) return cause.message;
  if (typeof cause === 'string') return cause;
  if (typeof cause === 'object' && cause !== null && 'message' in cause && typeof cause.message === 'string') {
    return cause.message;
  }
  return typeof cause;
}

/**
 * Makes an error of what a peer did: where in this library that was noticed helps nobody, and a stack costs some ten
 * times as much as the rest. A peer that cancels or reconnects all the time would otherwise keep the process busy with it.
 */
export function withoutStack<T>(make: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
