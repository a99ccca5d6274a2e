import type { CallId, EncodedMessage } from '../protocol/messages.js';

/** What a stream needs of its connection. */
export interface StreamWriter {
  /** Whether the peer gives credit; where not, its socket says when it is slow. */
  readonly hasCredit: boolean;
  /** The socket takes more. */
  readonly isWritable: boolean;
  /** Calls back once the socket takes more, or is closed. */
  whenWritable(callback: () => void): void;
  /** @returns what the value takes of the credit, in bytes */
  item(id: CallId, data: unknown): number;
  encodeItem(id: CallId, data: unknown): EncodedMessage;
  /** Writes an item whose bytes are held; it is not for the stream to release them any more. */
  writeEncoded(id: CallId, item: EncodedMessage): void;
  /** @throws PooledTcpError `PTCP_WRITE_OVERFLOW` */
  hold(bytes: number): void;
}

const MAX_CREDIT_BYTES = 16 * 1024 * 1024;

/**
 * The sending end of one stream. The receiver grants credit, in bytes; a value may be sent while any is left, so
 * that a value larger than the window still gets through. Without credit, values wait here as bytes: a source
 * that asks {@link isWritable} first never gets that far.
 */
export class OutgoingStream {
  readonly #id: CallId;
  readonly #writer: StreamWriter;
  #credit: number;
  #waiting: EncodedMessage[] = [];
  /** What ends the stream, once nothing waits any more. */
  #tail: (() => void) | undefined;
  #awaiting: (() => void)[] = [];
  /** The writer will call back. */
  #isWatching = false;
  #isOver = false;

  constructor(id: CallId, writer: StreamWriter, initialCredit: number) {
    this.#id = id;
    this.#writer = writer;
    this.#credit = writer.hasCredit ? initialCredit : Infinity;
  }

  get isWritable(): boolean {
    return this.#isOver || (this.#credit > 0 && this.#waiting.length === 0 && this.#writer.isWritable);
  }

  /** Resolves when a value would leave at once, or the stream is over. */
  whenWritable(): Promise<void> {
    if (this.isWritable) return Promise.resolve();
    return new Promise((resolve) => {
      this.#awaiting.push(resolve);
      this.#watchWriter();
    });
  }

  /** @throws PooledTcpError what the protocol throws, and `PTCP_WRITE_OVERFLOW` when too much waits */
  item(data: unknown): void {
    if (this.#isOver) return;
    if (this.#credit > 0 && this.#waiting.length === 0) {
      this.#credit -= this.#writer.item(this.#id, data);
      return;
    }
    const item = this.#writer.encodeItem(this.#id, data);
    this.#writer.hold(item.bytes);
    this.#waiting.push(item);
  }

  /** Calls back, and is over, once everything that waits has been written: at once where nothing does. */
  finish(tail: () => void): void {
    if (this.#waiting.length > 0) {
      this.#tail = tail;
      return;
    }
    this.#isOver = true;
    tail();
  }

  /** The receiver has taken so many bytes. */
  credited(bytes: number): void {
    // However generous a peer is, so much is enough to be under way.
    this.#credit = Math.min(this.#credit + bytes, Math.max(MAX_CREDIT_BYTES, this.#credit));
    let sent = 0;
    for (const item of this.#waiting) {
      if (this.#credit <= 0) break;
      this.#credit -= item.bytes;
      this.#writer.writeEncoded(this.#id, item);
      sent += 1;
    }
    if (sent > 0) this.#waiting = this.#waiting.slice(sent);
    const tail = this.#tail;
    if (tail !== undefined && this.#waiting.length === 0) {
      this.#tail = undefined;
      this.#isOver = true;
      tail();
    }
    this.#wake();
  }

  /** Nothing more is sent: what waits is dropped, and whoever waits goes on. */
  drop(): void {
    this.#isOver = true;
    for (const { bytes } of this.#waiting) this.#writer.hold(-bytes);
    this.#waiting = [];
    this.#tail = undefined;
    this.#wake();
  }

  #wake(): void {
    if (this.#awaiting.length === 0) return;
    if (!this.isWritable) {
      // There may be credit by now, and no room in the socket any more: both must be waited for, in any order.
      this.#watchWriter();
      return;
    }
    const awaiting = this.#awaiting;
    this.#awaiting = [];
    for (const resolve of awaiting) resolve();
  }

  #watchWriter(): void {
    if (this.#isWatching || this.#writer.isWritable) return;
    this.#isWatching = true;
    this.#writer.whenWritable(() => {
      this.#isWatching = false;
      this.#wake();
    });
  }
}
