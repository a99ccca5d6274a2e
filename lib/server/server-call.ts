import { ItemQueue } from '../common/item-queue.js';
import { IncomingWindow } from '../connection/incoming-window.js';
import type { ItemSink } from '../connection/item-sink.js';
import type { OutgoingStream } from '../connection/outgoing-stream.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { CallId, FailureKind, Metadata } from '../protocol/messages.js';
import type { Session } from './session.js';

/** What a call needs of its session to answer. */
export interface CallReplies {
  openStream(call: ServerCall): OutgoingStream;
  sendItem(call: ServerCall, stream: OutgoingStream, data: unknown): void;
  sendResponse(call: ServerCall, data: unknown): void;
  sendCompleted(call: ServerCall): void;
  sendFailure(call: ServerCall, kind: FailureKind, error: unknown): void;
  /** One more (1) or one less (-1) handler goes on although its call was given up. */
  abandoned(change: 1 | -1): void;
  /** Lets the client stream so many bytes more to the call. */
  grant(call: ServerCall, bytes: number): void;
  /** A time on the session's clock, as milliseconds since the epoch. */
  epochOf(time: number): number;
}

/** A request as it arrived. */
export interface ServerRequest {
  readonly id: CallId;
  readonly pattern: unknown;
  readonly data: unknown;
  readonly metadata: Metadata | undefined;
  /** When the caller gives up, on the session's clock, where it said. */
  readonly expiresAt: number | undefined;
  /** The data follows as items; what of it may be under way, in bytes. */
  readonly streamWindowBytes: number | undefined;
}

/**
 * - `running`: the handler is at work
 * - `ending`: it has answered, and a part of what it streamed waits for the client
 * - `over`: answered
 * - `cancelled`: nobody wants an answer any more
 */
type ServerCallState = 'running' | 'ending' | 'over' | 'cancelled';

/**
 * One request on the server. It is answered once: by `respond`, `complete` or `fail`, after any number of items.
 * After a cancel, answers go nowhere.
 */
export class ServerCall implements ItemSink {
  readonly id: CallId;
  readonly session: Session;
  readonly pattern: unknown;
  readonly data: unknown;
  readonly metadata: Metadata | undefined;
  readonly expiresAt: number | undefined;
  /** What the client streams to the call; undefined for one value, which is {@link data}. */
  readonly incoming: ItemQueue | undefined;
  readonly #window: IncomingWindow | undefined;
  readonly #replies: CallReplies;
  #state: ServerCallState = 'running';
  #stream: OutgoingStream | undefined;
  #isStreaming = false;
  #abort: AbortController | undefined;
  #cancelReason: Error | undefined;
  #onCancel: (() => void) | undefined;
  #isAbandoned = false;

  constructor(replies: CallReplies, session: Session, request: ServerRequest) {
    this.#replies = replies;
    this.session = session;
    this.id = request.id;
    this.pattern = request.pattern;
    this.data = request.data;
    this.metadata = request.metadata;
    this.expiresAt = request.expiresAt;
    if (request.streamWindowBytes === undefined) return;
    this.#window = new IncomingWindow(request.streamWindowBytes);
    this.incoming = new ItemQueue(
      (bytes) => {
        this.#taken(bytes);
      },
      // The client goes on until its window is full; the answer, or a cancel, stops it.
      () => undefined,
    );
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  /** Whether it has answered with a first item: from then on the time between items counts, at the client. */
  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  /** When the caller gives up, in milliseconds since the epoch, where it said. */
  get deadline(): number | undefined {
    return this.expiresAt === undefined ? undefined : this.#replies.epochOf(this.expiresAt);
  }

  /** Aborted when the caller cancels, disconnects or passes its deadline. Made when first asked for. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#state === 'cancelled') this.#abort.abort(this.#cancelReason);
    }
    return this.#abort.signal;
  }

  /** Called at most once, when the call is cancelled; at once when it has been. */
  onCancel(callback: () => void): void {
    if (this.#state === 'cancelled') {
      this.#handlerEnded();
      callback();
    } else this.#onCancel = callback;
  }

  get isWritable(): boolean {
    return this.#state !== 'running' || this.#open().isWritable;
  }

  whenWritable(): Promise<void> {
    return this.isWritable ? Promise.resolve() : this.#open().whenWritable();
  }

  /** One value; more may follow. */
  item(data: unknown): void {
    if (this.#state !== 'running') return;
    this.#isStreaming = true;
    this.#replies.sendItem(this, this.#open(), data);
  }

  /** The only or last value. */
  respond(data: unknown): void {
    if (!this.#mayEnd()) return;
    if (this.#stream !== undefined) {
      this.#respondAfter(this.#stream, data);
      return;
    }
    this.#state = 'over';
    this.#replies.sendResponse(this, data);
  }

  /** No further value. */
  complete(): void {
    this.#end(() => {
      this.#replies.sendCompleted(this);
    });
  }

  /** The handler failed. */
  fail(error: unknown): void {
    this.refuse('handler', error);
  }

  refuse(kind: FailureKind, error: unknown): void {
    this.#end(() => {
      this.#replies.sendFailure(this, kind, error);
    });
  }

  /** The caller is gone or does not care any more. */
  cancel(reason: Error): void {
    if (this.#state === 'over' || this.#state === 'cancelled') return;
    this.#state = 'cancelled';
    this.#stream?.drop();
    this.#cancelReason = reason;
    this.#abort?.abort(reason);
    this.#onCancel?.();
    this.incoming?.fail(reason);
  }

  /** The same, while the connection goes on: a handler that does not stop by itself is counted until it ends. */
  abandon(reason: Error): void {
    // A stream is stopped by the cancel, and what has answered has ended.
    if (this.#state === 'running' && this.#onCancel === undefined) {
      this.#isAbandoned = true;
      this.#replies.abandoned(1);
    }
    this.cancel(reason);
  }

  // What the session hands on.

  /** The client has made room. */
  credited(bytes: number): void {
    this.#stream?.credited(bytes);
  }

  /** @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION` when this call streams nothing, or has no credit */
  received(data: unknown, bytes: number): void {
    if (this.incoming === undefined || this.#window === undefined)
      throw new PooledTcpError('PTCP_PROTOCOL_VIOLATION', 'an item for a request that came whole');
    this.#window.arrived(bytes);
    this.incoming.push(data, bytes);
  }

  #taken(bytes: number): void {
    const granted = this.#window?.taken(bytes) ?? 0;
    if (granted > 0 && this.#state === 'running') this.#replies.grant(this, granted);
  }

  #open(): OutgoingStream {
    return (this.#stream ??= this.#replies.openStream(this));
  }

  #handlerEnded(): void {
    if (!this.#isAbandoned) return;
    this.#isAbandoned = false;
    this.#replies.abandoned(-1);
  }

  /** @returns whether it has not been answered yet: now it is to be */
  #mayEnd(): boolean {
    this.#handlerEnded();
    if (this.#state !== 'running') return false;
    this.#state = 'ending';
    this.incoming?.cutOff(
      new PooledTcpError('PTCP_ABORTED', 'the call has been answered without the rest of its stream'),
    );
    return true;
  }

  #end(send: () => void): void {
    if (!this.#mayEnd()) return;
    if (this.#stream !== undefined) {
      this.#afterStream(this.#stream, send);
      return;
    }
    this.#state = 'over';
    send();
  }

  /** On its own, so that a call that streamed nothing makes no closure. */
  #respondAfter(stream: OutgoingStream, data: unknown): void {
    this.#afterStream(stream, () => {
      this.#replies.sendResponse(this, data);
    });
  }

  #afterStream(stream: OutgoingStream, send: () => void): void {
    stream.finish(() => {
      this.#state = 'over';
      send();
    });
  }
}
