import type { Clock, Timer } from '../common/clock.js';
import { Call } from '../connection/call.js';
import type { ClientConnection } from '../connection/client-connection.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { OutgoingMessage } from '../protocol/messages.js';

/** Who waits for the replies of a call. Ends with `complete` or with one of the errors. Must not throw. */
export interface ReplyObserver {
  next(value: unknown): void;
  complete(): void;
  /** The call did not get through, or the server refused it. */
  failed(error: PooledTcpError): void;
  /** The handler answered with an error; `error` is what it answered. */
  handlerFailed(error: unknown): void;
}

/** Where a call gets its connection from, and gives it back to. */
export interface ConnectionSource {
  /** A connection at once, or undefined when the call has to wait. */
  tryBorrow(): Borrowed | undefined;
  borrow(timeoutMs: number | undefined, signal: AbortSignal): Promise<Borrowed>;
  /** The call is over. */
  settled(isFailure: boolean, call: Call): void;
  /** Whether an attempt that has not left may be made again; `connection` is where it failed. */
  mayRetry(error: PooledTcpError, connection: ClientConnection | undefined): boolean;
  /** The call goes to another connection, because it did not leave on this one. */
  retried(): void;
}

export interface Borrowed {
  readonly resource: ClientConnection;
  release(): void;
}

export interface CallOptions {
  /** Time for a reply, waiting for a connection included; for streams, between items. 0 for none. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Attempts of one call, as long as none has reached a server. */
const MAX_ATTEMPTS = 4;
/**
 * One call from start to end: waits for a connection, sends, watches the deadline, and gives the connection
 * back. An attempt that has not left is repeated on another connection; one that may have is not.
 */
export class ActiveCall extends Call {
  readonly #clock: Clock;
  readonly #source: ConnectionSource;
  readonly #message: OutgoingMessage;
  readonly #observer: ReplyObserver;
  readonly #options: CallOptions;
  readonly #startedAt: number;
  #state: 'new' | 'waiting' | 'sent' | 'over' = 'new';
  #borrowed: Borrowed | undefined;
  #waiting: AbortController | undefined;
  #timer: Timer | undefined;
  #attempts = 0;
  #isStreaming = false;
  #onAbort: (() => void) | undefined;

  constructor(
    clock: Clock,
    source: ConnectionSource,
    message: OutgoingMessage,
    observer: ReplyObserver,
    options: CallOptions,
  ) {
    super();
    this.#clock = clock;
    this.#source = source;
    this.#message = message;
    this.#observer = observer;
    this.#options = options;
    this.#startedAt = clock.now();
  }

  start(): void {
    const { signal } = this.#options;
    if (signal !== undefined) {
      if (signal.aborted) {
        this.#onSignal(signal);
        return;
      }
      this.#onAbort = () => {
        this.#onSignal(signal);
      };
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    this.#attempt();
  }

  /** The caller is not interested any more: nothing more is delivered, and the server is told. */
  cancel(): void {
    if (this.#state === 'over') return;
    if (this.#state === 'sent') this.#borrowed?.resource.cancel(this);
    this.#waiting?.abort(new Error('cancelled'));
    this.#end();
    this.#source.settled(false, this);
  }

  override onResponse(data: unknown): void {
    if (!this.#finish(false)) return;
    // Stock Nest completes without a value where the handler returned undefined.
    if (data !== undefined) this.#observer.next(data);
    this.#observer.complete();
  }

  override onItem(data: unknown): void {
    this.#watchSilence();
    this.#observer.next(data);
  }

  override onEnd(): void {
    if (this.#finish(false)) this.#observer.complete();
  }

  override onHandlerFailure(error: unknown): void {
    if (this.#finish(true)) this.#observer.handlerFailed(error);
  }

  override onFailure(error: PooledTcpError): void {
    if (this.#state === 'over') return;
    if (
      !error.sent &&
      this.#source.mayRetry(error, this.#borrowed?.resource) &&
      this.#attempts < MAX_ATTEMPTS &&
      this.#remainingMs() > 1
    ) {
      this.#giveBack();
      this.#source.retried();
      this.#attempt();
      return;
    }
    this.#fail(error);
  }

  #attempt(): void {
    this.#attempts += 1;
    // After a failed attempt, another connection is waited for in line: an immediate one may be just as dead.
    const borrowed = this.#attempts === 1 ? this.#source.tryBorrow() : undefined;
    if (borrowed === undefined) this.#wait();
    else this.#send(borrowed);
  }

  #wait(): void {
    this.#state = 'waiting';
    const waiting = new AbortController();
    this.#waiting = waiting;
    this.#source.borrow(this.#options.timeoutMs > 0 ? this.#remainingMs() : undefined, waiting.signal).then(
      (borrowed) => {
        this.#waiting = undefined;
        if (this.#state === 'over') borrowed.release();
        else this.#send(borrowed);
      },
      (error: unknown) => {
        this.#waiting = undefined;
        if (this.#state !== 'over') this.#fail(error as PooledTcpError);
      },
    );
  }

  #send(borrowed: Borrowed): void {
    this.#borrowed = borrowed;
    this.#state = 'sent';
    const { timeoutMs } = this.#options;
    try {
      borrowed.resource.request(this, this.#message, timeoutMs > 0 ? this.#remainingMs() : 0);
    } catch (error) {
      this.onFailure(error as PooledTcpError);
      return;
    }
    if (timeoutMs > 0) this.#timer = this.#clock.setTimeout(this.#onTimeout, this.#remainingMs());
  }

  /** The first reply has what is left of the budget; between items, each has the whole. */
  #watchSilence(): void {
    if (this.#timer === undefined) return;
    if (this.#isStreaming) {
      this.#timer.refresh();
      return;
    }
    this.#isStreaming = true;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(this.#onTimeout, this.#options.timeoutMs);
  }

  readonly #onTimeout = (): void => {
    const connection = this.#borrowed?.resource;
    connection?.cancel(this);
    const elapsedMs = this.#clock.now() - this.#startedAt;
    this.#fail(
      new PooledTcpError('PTCP_REQUEST_TIMEOUT', `no reply within ${this.#options.timeoutMs} ms`, {
        peer: connection?.peer,
        sent: true,
        elapsedMs,
      }),
    );
  };

  #onSignal(signal: AbortSignal): void {
    const connection = this.#borrowed?.resource;
    // On a connection that lives on, what was written leaves, even if the cancel leaves with it.
    const sent = this.#state === 'sent';
    if (this.#state === 'sent') connection?.cancel(this);
    this.#waiting?.abort(signal.reason);
    this.#fail(
      new PooledTcpError('PTCP_ABORTED', 'the caller’s signal fired', {
        peer: connection?.peer,
        sent,
        cause: signal.reason,
      }),
    );
  }

  #fail(error: PooledTcpError): void {
    if (!this.#finish(true)) return;
    const elapsedMs = this.#clock.now() - this.#startedAt;
    const where = error.peer === undefined ? '' : ` to ${error.peer}`;
    this.#observer.failed(
      new PooledTcpError(
        error.code,
        `request '${this.#message.route}'${where} failed after ${Math.round(elapsedMs)} ms: ${error.message}`,
        {
          sent: error.sent,
          peer: error.peer,
          elapsedMs,
          cause: error.cause,
        },
      ),
    );
  }

  #finish(isFailure: boolean): boolean {
    if (this.#state === 'over') return false;
    this.#end();
    this.#source.settled(isFailure, this);
    return true;
  }

  #end(): void {
    this.#state = 'over';
    this.#giveBack();
    if (this.#onAbort !== undefined) this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  #giveBack(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    const borrowed = this.#borrowed;
    this.#borrowed = undefined;
    borrowed?.release();
  }

  #remainingMs(): number {
    const { timeoutMs } = this.#options;
    if (timeoutMs === 0) return Infinity;
    return Math.max(1, timeoutMs - (this.#clock.now() - this.#startedAt));
  }
}
