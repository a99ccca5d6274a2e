import type { CallId, FailureKind, Metadata } from '../protocol/messages.js';
import type { Session } from './session.js';

/** What a call needs of its session to answer. */
export interface CallReplies {
  item(call: ServerCall, data: unknown): void;
  response(call: ServerCall, data: unknown): void;
  completed(call: ServerCall): void;
  failure(call: ServerCall, kind: FailureKind, error: unknown): void;
  /** Calls back when the call's deadline has passed; the returned function takes that back. */
  watchDeadline(call: ServerCall): () => void;
}

/**
 * One request on the server. It is answered once: by `response`, `complete` or `fail`, after any number of
 * items. After a cancel, answers go nowhere.
 */
export class ServerCall {
  readonly id: CallId;
  readonly session: Session;
  readonly pattern: unknown;
  readonly data: unknown;
  readonly metadata: Metadata | undefined;
  /** When the caller gives up, in milliseconds since the epoch, where it said. */
  readonly deadline: number | undefined;
  readonly #replies: CallReplies;
  #state: 'running' | 'over' | 'cancelled' = 'running';
  #abort: AbortController | undefined;
  #cancelReason: Error | undefined;
  #onCancel: (() => void) | undefined;
  #unwatch: (() => void) | undefined;

  constructor(
    replies: CallReplies,
    session: Session,
    request: {
      id: CallId;
      pattern: unknown;
      data: unknown;
      metadata: Metadata | undefined;
      deadline: number | undefined;
    },
  ) {
    this.#replies = replies;
    this.session = session;
    this.id = request.id;
    this.pattern = request.pattern;
    this.data = request.data;
    this.metadata = request.metadata;
    this.deadline = request.deadline;
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  /** Aborted when the caller cancels, disconnects or passes its deadline. Made when first asked for. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#state === 'cancelled') this.#abort.abort(this.#cancelReason);
      // Only a handler that asks for the signal needs the deadline watched: the caller watches it anyway.
      else if (this.#state === 'running' && this.deadline !== undefined)
        this.#unwatch = this.#replies.watchDeadline(this);
    }
    return this.#abort.signal;
  }

  /** Called at most once, when the call is cancelled; at once when it has been. */
  onCancel(callback: () => void): void {
    if (this.#state === 'cancelled') callback();
    else this.#onCancel = callback;
  }

  /** One value; more may follow. */
  item(data: unknown): void {
    if (this.#state === 'running') this.#replies.item(this, data);
  }

  /** The only or last value. */
  respond(data: unknown): void {
    if (this.#end()) this.#replies.response(this, data);
  }

  /** No further value. */
  complete(): void {
    if (this.#end()) this.#replies.completed(this);
  }

  fail(kind: FailureKind, error: unknown): void {
    if (this.#end()) this.#replies.failure(this, kind, error);
  }

  /** The caller is gone or does not care any more. */
  cancel(reason: Error): void {
    if (this.#state !== 'running') return;
    this.#state = 'cancelled';
    this.#unwatch?.();
    this.#cancelReason = reason;
    this.#abort?.abort(reason);
    this.#onCancel?.();
  }

  #end(): boolean {
    if (this.#state !== 'running') return false;
    this.#state = 'over';
    this.#unwatch?.();
    return true;
  }
}
