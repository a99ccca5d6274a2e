import type { ReplyObserver } from '../client/active-call.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';

/** Turns replies into one promise: the last value, or undefined where there was none. */
export class PromiseReply<T> implements ReplyObserver {
  readonly promise: Promise<T>;
  readonly #route: string;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  #value: unknown = undefined;

  constructor(route: string) {
    this.#route = route;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  next(value: unknown): void {
    this.#value = value;
  }

  complete(): void {
    this.#resolve(this.#value as T);
  }

  failed(error: PooledTcpError): void {
    this.#reject(error);
  }

  /** The request did not even begin: a bad option, or a hook that threw. */
  fail(error: unknown): void {
    this.#reject(error);
  }

  handlerFailed(error: unknown): void {
    this.#reject(handlerFailed(this.#route, error));
  }
}

/** What a handler answered, for callers who branch on codes. */
export function handlerFailed(route: string, error: unknown): PooledTcpError {
  return new PooledTcpError(
    'PTCP_HANDLER_FAILED',
    `the handler of '${route}' answered with an error: ${describeCause(error)}`,
    { sent: true, cause: error },
  );
}
