import type { Clock, Timer } from '../common/clock.js';
import { wasFrozen } from '../common/frozen.js';

/** As much of a frame as must arrive in each period: a slow link is not an attack. */
const STEP_BYTES = 64 * 1024;

/**
 * Watches that a frame which has begun goes on. There is one timer, set when a frame is first left unfinished; it is
 * not touched by what arrives, and looks for itself when it fires.
 */
export class FrameWatch {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onTimeout: (bytes: number) => void;
  #timer: Timer | undefined;
  #partialBytes = 0;
  /** When the present step began, and how much of the frame was there then. */
  #stepAt = 0;
  #stepBytes = 0;

  /** @param timeoutMs 0 for any time */
  constructor(clock: Clock, timeoutMs: number, onTimeout: (bytes: number) => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onTimeout = onTimeout;
  }

  /** Whether the last that arrived left a frame unfinished. */
  get isMidFrame(): boolean {
    return this.#partialBytes > 0;
  }

  /**
   * Bytes have arrived.
   *
   * @param partialBytes of the frame that is unfinished now; 0 for none
   * @param chunkBytes that arrived
   * @returns whether it is the frame that was unfinished before
   */
  arrived(partialBytes: number, chunkBytes: number): boolean {
    const isSameFrame = this.#partialBytes > 0 && partialBytes === this.#partialBytes + chunkBytes;
    this.#partialBytes = partialBytes;
    if (partialBytes === 0 || this.#timeoutMs === 0) return isSameFrame;
    if (isSameFrame && partialBytes - this.#stepBytes < STEP_BYTES) return true;
    this.#stepAt = this.#clock.now();
    this.#stepBytes = partialBytes;
    if (this.#timer === undefined) this.#arm(this.#timeoutMs);
    return isSameFrame;
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    const dueAt = this.#clock.now() + delayMs;
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      if (!this.isMidFrame) return;
      const now = this.#clock.now();
      // This process did not run: the rest may lie unread.
      if (wasFrozen(now - dueAt, this.#timeoutMs)) this.#stepAt = now;
      const leftMs = this.#stepAt + this.#timeoutMs - now;
      if (leftMs > 0) this.#arm(leftMs);
      else this.#onTimeout(this.#partialBytes);
    }, delayMs);
  }
}
