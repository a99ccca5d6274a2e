import type { Clock, Timer } from '../common/clock.js';
import { Call } from '../connection/call.js';
import type { CallDeadlines, TimedCall } from './call-deadlines.js';
import type { ClientConnection } from '../connection/client-connection.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { OutgoingMessage } from '../protocol/messages.js';
import { Upload, type UploadSource } from './upload.js';

/** Who waits for the replies of a call. Ends with `complete` or with one of the errors. Must not throw. */
export interface ReplyObserver {
  /** @param bytes to be reported with {@link ActiveCall.taken}, by an observer that keeps items */
  next(value: unknown, bytes: number): void;
  /** Keeps items until somebody takes them, and reports each; the server waits meanwhile. */
  readonly keepsItems?: boolean | undefined;
  complete(): void;
  /** The call did not get through, or the server refused it. */
  failed(error: PooledTcpError): void;
  /** The handler answered with an error; `error` is what it answered. */
  handlerFailed(error: unknown): void;
}

/** A call as its caller sees it. */
export interface RunningCall {
  /** The caller is not interested any more: nothing more is delivered, and the server is told. */
  cancel(): void;
  taken(bytes: number): void;
}

/** Where a call gets its connection from, and gives it back to. */
export interface ConnectionSource {
  /** A connection at once, or undefined when the call has to wait. */
  tryBorrow(options: CallOptions): Borrowed | undefined;
  borrow(options: CallOptions, timeoutMs: number | undefined, signal: AbortSignal): Promise<Borrowed>;
  /** The call is over. */
  settled(isFailure: boolean, call: Call): void;
  /** An attempt was answered: by a reply, the first item of a stream, or the error of a handler. */
  answered(connection: ClientConnection, sentAt: number): void;
  /** An attempt has failed, whether or not it is made again. */
  failed(connection: ClientConnection, error: PooledTcpError, sentAt: number): void;
  /** Whether a failed attempt may be made again; `connection` is where it failed. */
  mayRetry(error: PooledTcpError, connection: ClientConnection | undefined, attempt: FailedAttempt): boolean;
  /** The call goes to another connection. */
  retried(): void;
}

/** A failed attempt, for whoever decides whether there is to be another. */
export interface FailedAttempt {
  readonly isIdempotent: boolean;
  /** Attempts so far that may have reached a handler. */
  readonly sentAttempts: number;
}

export interface Borrowed {
  readonly resource: ClientConnection;
  release(): void;
}

export interface CallOptions {
  /** Time for a reply, waiting for a connection included; for streams, between items. 0 for none. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The data of the request, where it is a stream. */
  readonly upload?: UploadSource | undefined;
  /** Pins the call to the endpoint that the key belongs to. */
  readonly key?: string | undefined;
  /** The handler may run twice without harm. */
  readonly idempotent?: boolean | undefined;
  /** Address of an endpoint that is to be avoided where there is another. */
  readonly avoid?: string | undefined;
}

/** Attempts of one call that never reached a handler; those that may have are counted by `retry`. */
const MAX_UNSENT_ATTEMPTS = 4;
const CANCELLED = new PooledTcpError('PTCP_ABORTED', 'the caller is not interested any more');

/**
 * One call from start to end: waits for a connection, sends, watches the deadline, and gives the connection
 * back. An attempt that has not left is repeated on another connection; one that may have, only where the caller says
 * that it may run twice.
 */
export class ActiveCall extends Call implements TimedCall, RunningCall {
  // As a member of a line of {@link CallDeadlines}.
  previous: TimedCall | undefined = undefined;
  next: TimedCall | undefined = undefined;
  list: object | undefined = undefined;
  readonly startedAt: number;
  readonly timeoutMs: number;
  readonly #deadlines: CallDeadlines;
  readonly #clock: Clock;
  readonly #source: ConnectionSource;
  readonly #message: OutgoingMessage;
  readonly #observer: ReplyObserver;
  readonly #options: CallOptions;
  #state: 'new' | 'waiting' | 'sent' | 'over' = 'new';
  #borrowed: Borrowed | undefined;
  /** Where the last attempt failed: the next goes elsewhere, where there is an elsewhere. */
  #failedAt: string | undefined;
  #waiting: AbortController | undefined;
  #timer: Timer | undefined;
  #attempts = 0;
  #hasWaited = false;
  #sentAt = 0;
  /** Attempts that may have reached a handler. */
  #sentAttempts = 0;
  /** A first reply has come. */
  #isAnswered = false;
  #isStreaming = false;
  #upload: Upload | undefined;
  /** Items that the observer keeps. */
  #kept = 0;
  #onAbort: (() => void) | undefined;

  constructor(
    clock: Clock,
    source: ConnectionSource,
    message: OutgoingMessage,
    observer: ReplyObserver,
    options: CallOptions,
    deadlines: CallDeadlines,
  ) {
    super();
    this.#clock = clock;
    this.#source = source;
    this.#message = message;
    this.#observer = observer;
    this.#options = options;
    this.#deadlines = deadlines;
    this.timeoutMs = options.timeoutMs;
    this.startedAt = clock.now();
  }

  /** Where it went last, while it is under way. */
  get peer(): string | undefined {
    return this.#borrowed?.resource.peer;
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

  cancel(): void {
    if (this.#state === 'over') return;
    const connection = this.#borrowed?.resource;
    if (this.#state === 'sent') connection?.cancel(this);
    // Says nothing about the endpoint, but that the call is over: it may have been the one that tests it.
    if (connection !== undefined && !this.#isAnswered) this.#source.failed(connection, CANCELLED, this.#sentAt);
    this.#waiting?.abort(new Error('cancelled'));
    this.#end();
    this.#source.settled(false, this);
  }

  override onResponse(data: unknown): void {
    this.#onAnswer();
    if (!this.#finish(false)) return;
    // Stock Nest completes without a value where the handler returned undefined.
    if (data !== undefined) this.#observer.next(data, 0);
    this.#observer.complete();
  }

  override onItem(data: unknown, bytes: number): void {
    this.#onAnswer();
    const connection = this.#borrowed?.resource;
    if (this.#observer.keepsItems === true) {
      this.#kept += 1;
      this.#watchSilence();
      this.#observer.next(data, bytes);
      return;
    }
    this.#watchSilence();
    this.#observer.next(data, bytes);
    if (bytes > 0) connection?.taken(this, bytes);
  }

  /** An item that the observer kept has been taken: the server may send more. */
  taken(bytes: number): void {
    this.#kept -= 1;
    this.#borrowed?.resource.taken(this, bytes);
    if (this.#kept === 0) this.#watchSilence();
  }

  override onCredit(): void {
    this.#watchSilence();
  }

  override onEnd(): void {
    this.#onAnswer();
    if (this.#finish(false)) this.#observer.complete();
  }

  override onHandlerFailure(error: unknown): void {
    this.#onAnswer();
    if (this.#finish(true)) this.#observer.handlerFailed(error);
  }

  override onFailure(error: PooledTcpError): void {
    if (this.#state === 'over') return;
    const connection = this.#borrowed?.resource;
    this.#reportFailure(error);
    if (error.sent) this.#sentAttempts += 1;
    if (
      // A source that has begun cannot begin again, nor can a stream that was delivered in part.
      this.#upload === undefined &&
      !this.#isAnswered &&
      this.#attempts - this.#sentAttempts < MAX_UNSENT_ATTEMPTS &&
      this.#remainingMs() > 1 &&
      this.#source.mayRetry(error, connection, {
        isIdempotent: this.#options.idempotent === true,
        sentAttempts: this.#sentAttempts,
      })
    ) {
      this.#failedAt = connection?.peer;
      this.#giveBack();
      this.#source.retried();
      this.#attempt();
      return;
    }
    this.#fail(error);
  }

  #onAnswer(): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    if (this.#borrowed !== undefined) this.#source.answered(this.#borrowed.resource, this.#sentAt);
  }

  /** What became of the attempt, for the endpoint it went to. */
  #reportFailure(error: PooledTcpError): void {
    if (this.#borrowed !== undefined && !this.#isAnswered)
      this.#source.failed(this.#borrowed.resource, error, this.#sentAt);
  }

  #attempt(): void {
    this.#attempts += 1;
    // After a failed attempt, another connection is waited for in line: an immediate one may be just as dead.
    const borrowed = this.#attempts === 1 ? this.#source.tryBorrow(this.#options) : undefined;
    if (borrowed === undefined) this.#wait();
    else this.#send(borrowed);
  }

  #wait(): void {
    this.#hasWaited = true;
    this.#state = 'waiting';
    const waiting = new AbortController();
    this.#waiting = waiting;
    const timeoutMs = this.timeoutMs > 0 ? this.#remainingMs() : undefined;
    const options = this.#failedAt === undefined ? this.#options : { ...this.#options, avoid: this.#failedAt };
    this.#source.borrow(options, timeoutMs, waiting.signal).then(
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
    const { timeoutMs } = this;
    const { upload } = this.#options;
    // The clock is read once for a call that is sent as it begins: nearly every one.
    const isFresh = this.#attempts === 1 && !this.#hasWaited;
    this.#sentAt = isFresh ? this.startedAt : this.#clock.now();
    const remainingMs = timeoutMs === 0 || isFresh ? timeoutMs : this.#remainingMs();
    try {
      // What streams has no deadline as a whole: here, each step of the server's has.
      borrowed.resource.request(this, this.#message, upload === undefined ? remainingMs : 0);
    } catch (error) {
      this.onFailure(error as PooledTcpError);
      return;
    }
    if (upload !== undefined) this.#startUpload(borrowed.resource, upload);
    else if (timeoutMs > 0 && isFresh) this.#deadlines.add(this);
    else if (timeoutMs > 0) this.#setTimer(remainingMs);
  }

  #startUpload(connection: ClientConnection, source: UploadSource): void {
    const upload = new Upload(this, connection, source, {
      progressed: () => {
        // What the source sends is no sign of life of the server: a silence that is being watched goes on.
        if (this.#timer === undefined || this.#upload?.isDue !== false) this.#watchSilence();
      },
      failed: (error) => {
        connection.cancel(this);
        // The request itself has left, or will.
        this.#fail(
          new PooledTcpError(error.code, error.message, { peer: connection.peer, sent: true, cause: error.cause }),
        );
      },
    });
    this.#upload = upload;
    if (!this.#isSent) upload.stop();
    else this.#watchSilence();
  }

  /** Read anew after a call-back, which may have ended the call. */
  get #isSent(): boolean {
    return this.#state === 'sent';
  }

  /**
   * The first reply has what is left of the budget; between items, each has the whole. Only the server's time
   * counts: not while it waits for the consumer here, or for the source of an upload.
   */
  #watchSilence(): void {
    const { timeoutMs } = this;
    if (timeoutMs === 0 || this.#state !== 'sent') return;
    this.#deadlines.remove(this);
    if (this.#kept > 0 || this.#upload?.isDue === true) {
      if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
      this.#timer = undefined;
      return;
    }
    if (this.#timer !== undefined && this.#isStreaming) {
      this.#timer.refresh();
      return;
    }
    this.#isStreaming = true;
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#setTimer(timeoutMs);
  }

  #setTimer(delayMs: number): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.onDeadline();
    }, delayMs);
  }

  /** The time is up. */
  onDeadline(): void {
    const connection = this.#borrowed?.resource;
    const sent = connection?.cancel(this);
    const elapsedMs = this.#clock.now() - this.startedAt;
    const error = new PooledTcpError('PTCP_REQUEST_TIMEOUT', `no reply within ${this.timeoutMs} ms`, {
      peer: connection?.peer,
      sent: sent ?? true,
      elapsedMs,
    });
    this.#reportFailure(error);
    this.#fail(error);
  }

  #onSignal(signal: AbortSignal): void {
    const connection = this.#borrowed?.resource;
    // On a connection that lives on, what was written leaves, even if the cancel leaves with it.
    const sent = this.#state === 'sent' && connection?.cancel(this) !== false;
    this.#waiting?.abort(signal.reason);
    const error = new PooledTcpError('PTCP_ABORTED', 'the caller’s signal fired', {
      peer: connection?.peer,
      sent,
      cause: signal.reason,
    });
    this.#reportFailure(error);
    this.#fail(error);
  }

  #fail(error: PooledTcpError): void {
    if (!this.#finish(true)) return;
    const elapsedMs = this.#clock.now() - this.startedAt;
    const where = error.peer === undefined ? '' : ` to ${error.peer}`;
    this.#observer.failed(
      new PooledTcpError(
        error.code,
        `request '${this.#message.route}'${where} failed after ${Math.round(elapsedMs)} ms: ${error.message}`,
        {
          // An attempt before this one may have run, whatever became of the last.
          sent: error.sent || this.#sentAttempts > 0,
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
    this.#upload?.stop();
    if (this.#onAbort !== undefined) this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  #giveBack(): void {
    this.#deadlines.remove(this);
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    const borrowed = this.#borrowed;
    this.#borrowed = undefined;
    borrowed?.release();
  }

  #remainingMs(): number {
    const { timeoutMs } = this;
    if (timeoutMs === 0) return Infinity;
    return Math.max(1, timeoutMs - (this.#clock.now() - this.startedAt));
  }
}
