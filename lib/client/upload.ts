import type { Call } from '../connection/call.js';
import type { ClientConnection } from '../connection/client-connection.js';
import type { ItemSink } from '../connection/item-sink.js';
import type { OutgoingStream } from '../connection/outgoing-stream.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';

/** Where the values come from that a call streams to the server. */
export interface UploadSource {
  /** Begins to send values. @returns stops it */
  start(sink: ItemSink): () => void;
}

export interface UploadEvents {
  /** Something was sent, the source is done, or there is room again: whose turn it is may have changed. */
  progressed(): void;
  /** A value could not be sent. */
  failed(error: PooledTcpError): void;
}

/** What one call streams to the server. */
export class Upload implements ItemSink {
  readonly #call: Call;
  readonly #connection: ClientConnection;
  readonly #stream: OutgoingStream;
  readonly #events: UploadEvents;
  #isOpen = true;
  /** Waits for room, to say whose turn it is then. */
  #isAwaitingRoom = false;
  #stop: (() => void) | undefined;

  constructor(call: Call, connection: ClientConnection, source: UploadSource, events: UploadEvents) {
    this.#call = call;
    this.#connection = connection;
    this.#events = events;
    this.#stream = connection.openStream(call);
    const stop = source.start(this);
    // A source may be at its end, or have failed the call, before it returns.
    if (this.#isOpen) this.#stop = stop;
    else stop();
  }

  /** Whether it is this side's turn: the source has more to come, and the server room for it. */
  get isDue(): boolean {
    return this.#isOpen && this.#stream.isWritable;
  }

  get isWritable(): boolean {
    return !this.#isOpen || this.#stream.isWritable;
  }

  whenWritable(): Promise<void> {
    return this.isWritable ? Promise.resolve() : this.#stream.whenWritable();
  }

  item(data: unknown): void {
    if (!this.#isOpen) return;
    try {
      this.#stream.item(data);
    } catch (error) {
      this.#events.failed(error as PooledTcpError);
      return;
    }
    this.#events.progressed();
    this.#awaitRoom();
  }

  complete(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stream.finish(() => {
      try {
        this.#connection.endStream(this.#call);
      } catch (error) {
        this.#events.failed(error as PooledTcpError);
      }
    });
    this.#events.progressed();
  }

  /** The server is told, and the call fails. */
  fail(error: unknown): void {
    if (!this.#isOpen) return;
    const message = describeCause(error);
    this.#stream.drop();
    try {
      this.#connection.endStream(this.#call, { error: message });
    } catch {
      // No room for the message, or too long a one: the cancel that follows stops the handler as well.
    }
    this.#events.failed(
      new PooledTcpError('PTCP_SOURCE_FAILED', `the source of the request failed: ${message}`, { cause: error }),
    );
  }

  /** The call is over: the source is stopped, and what waits is dropped. */
  stop(): void {
    this.#stream.drop();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stop?.();
  }

  /** Room may come without a word from the server, when the socket drains: then it is the source's turn again. */
  #awaitRoom(): void {
    if (this.#isAwaitingRoom || !this.#isOpen || this.#stream.isWritable) return;
    this.#isAwaitingRoom = true;
    void this.#stream.whenWritable().then(() => {
      this.#isAwaitingRoom = false;
      if (this.#isOpen) this.#events.progressed();
    });
  }
}
