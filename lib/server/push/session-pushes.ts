import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import type { PushWriter } from '../../protocol/push-writer.js';
import type { OutgoingPush } from './outgoing-push.js';
import { PushQueue, type WaitingPush } from './push-queue.js';
import { policyOf, type PushOptions, type PushSettings } from './push-settings.js';
import type { PushTally } from './push-tally.js';

/** What pushes need of the connection they go over. */
export interface PushConnection {
  /** Whether the socket keeps up with what is written. */
  readonly isWritable: boolean;
  /** Calls back once it does again, or the connection is closed. */
  whenWritable(callback: () => void): void;
  /** Gives what is written to the kernel now. */
  flush(): void;
}

export interface SessionPushesOptions {
  readonly connection: PushConnection;
  readonly writer: PushWriter;
  readonly settings: PushSettings;
  readonly tally: PushTally;
  /** The client does not read, and what waits for it must not be dropped. */
  readonly overflow: (pendingBytes: number) => void;
}

/**
 * Pushes to one client. While it reads, they are written as they come. While it does not, they wait here and not in
 * the socket, where they could not be dropped any more; answers to its calls are written meanwhile as ever.
 */
export class SessionPushes {
  readonly #options: SessionPushesOptions;
  /** Made when a push has to wait for the first time. */
  #queue: PushQueue | undefined;
  /** Large pushes that the peer takes piece by piece: another waits until the one before is gone. */
  #keptBack = 0;
  #isAwaited = false;
  #isOver = false;

  constructor(options: SessionPushesOptions) {
    this.#options = options;
  }

  /** Bytes that wait here. */
  get pendingBytes(): number {
    return this.#queue?.bytes ?? 0;
  }

  /**
   * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`, `PTCP_WRITE_OVERFLOW`,
   * `PTCP_OPTION_INVALID`, `PTCP_OPTION_CONFLICT`
   */
  push(push: OutgoingPush, options: PushOptions): void {
    const { settings, writer } = this.#options;
    const policy = policyOf(options, settings);
    if (this.#mayWrite()) {
      this.#write((gone) =>
        push.isShared ? writer.writeEncoded(push.encodedFor(writer), gone) : writer.write(push.route, push.data, gone),
      );
      return;
    }
    const message = push.encodedFor(writer);
    this.#queue ??= new PushQueue(settings.maxPendingBytes, this.#options.tally);
    const { bytes } = this.#queue;
    if (!this.#queue.add(message, policy, options.key ?? push.route)) this.#overflow(bytes);
    else this.#await();
  }

  /** The connection is gone, or about to go: nothing waits for it any more. */
  close(): void {
    this.#isOver = true;
    this.#queue?.clear();
  }

  /** Whether the next push may leave at once: nothing is before it, and the socket keeps up. */
  #mayWrite(): boolean {
    if (this.#keptBack > 0 || (this.#queue?.size ?? 0) > 0) return false;
    const { connection } = this.#options;
    // Much that is pushed in one turn is not a slow reader yet: the kernel has not been asked.
    if (!connection.isWritable) connection.flush();
    return connection.isWritable;
  }

  #write(write: (gone: () => void) => boolean): void {
    // Counted before: a message that is kept back may be gone before `write` returns.
    this.#keptBack += 1;
    let isKeptBack = false;
    try {
      isKeptBack = write(this.#gone);
      this.#options.tally.sent += 1;
    } finally {
      if (!isKeptBack) this.#keptBack -= 1;
    }
  }

  readonly #gone = (): void => {
    this.#keptBack -= 1;
    this.#writeWaiting();
  };

  #await(): void {
    // A large push that is kept back says itself when it is gone.
    if (this.#isAwaited || this.#keptBack > 0) return;
    this.#isAwaited = true;
    this.#options.connection.whenWritable(() => {
      this.#isAwaited = false;
      this.#writeWaiting();
    });
  }

  #writeWaiting(): void {
    const { connection, writer } = this.#options;
    const queue = this.#queue;
    if (queue === undefined || this.#isOver) return;
    while (queue.size > 0 && this.#keptBack === 0 && connection.isWritable) {
      const waiting = queue.take();
      if (waiting === undefined) return;
      try {
        this.#write((gone) => writer.writeEncoded(waiting.message, gone));
      } catch (error) {
        if (!(error instanceof PooledTcpError)) throw error;
        // For want of room beside what else is kept back for the peer (`maxPendingWriteBytes`).
        this.#refuse(waiting, queue.bytes);
      }
    }
    if (queue.size > 0) this.#await();
  }

  #refuse({ mayBeDropped, message }: WaitingPush, waitingBytes: number): void {
    if (mayBeDropped) this.#options.tally.dropped += 1;
    else this.#overflow(waitingBytes + message.bytes);
  }

  #overflow(pendingBytes: number): void {
    if (this.#isOver) return;
    this.close();
    this.#options.tally.disconnected += 1;
    this.#options.overflow(pendingBytes);
  }
}
