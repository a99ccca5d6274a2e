import type { Clock } from '../common/clock.js';
import type { PartialMessage } from '../protocol/protocol.js';
import { FrameWatch } from './frame-watch.js';
import type { PartialBudget, PartialHolder } from './partial-budget.js';

export interface IntakeOptions {
  readonly clock: Clock;
  /** For each 64 KiB; 0 for any time. */
  readonly timeoutMs: number;
  readonly budget: PartialBudget;
  /** @param what did not go on: `a frame`, `a message in fragments` */
  readonly late: (what: string, bytes: number) => void;
  readonly overBudget: () => void;
}

/**
 * What one connection has sent of messages that are not whole: a frame, and a message in fragments. Both must go on,
 * and both count for the server's budget. Made when there is such a message for the first time.
 */
export class Intake implements PartialHolder {
  readonly #budget: PartialBudget;
  readonly #options: IntakeOptions;
  readonly #frame: FrameWatch;
  #fragments: FrameWatch | undefined;
  #message: PartialMessage | undefined;
  #messageNumber = 0;
  #messageBytes = 0;
  #isOver = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#budget = options.budget;
    this.#frame = new FrameWatch(options.clock, options.timeoutMs, (bytes) => {
      options.late('a frame', bytes);
    });
  }

  /** Whether the last chunk left something unfinished. */
  get isMidMessage(): boolean {
    return this.#frame.isMidFrame || this.#message !== undefined;
  }

  /**
   * A chunk has been taken.
   *
   * @param frameBytes of the frame that is unfinished now; 0 for none
   * @param message the one that is coming in fragments, if one is
   */
  arrived(frameBytes: number, message: PartialMessage | undefined, chunkBytes: number): void {
    if (this.#isOver) return;
    const isSameFrame = this.#frame.arrived(frameBytes, chunkBytes);
    const isSameMessage = message?.number === this.#messageNumber;
    if (message !== undefined || this.#message !== undefined) this.#watchFragments(message, isSameMessage);
    this.#budget.set(this, frameBytes + this.#messageBytes, message === undefined ? isSameFrame : isSameMessage);
  }

  overBudget(): void {
    this.#options.overBudget();
  }

  stop(): void {
    this.#isOver = true;
    this.#frame.stop();
    this.#fragments?.stop();
    this.#budget.set(this, 0, false);
  }

  #watchFragments(message: PartialMessage | undefined, isSame: boolean): void {
    const { clock, timeoutMs, late } = this.#options;
    this.#fragments ??= new FrameWatch(clock, timeoutMs, (bytes) => {
      late('a message in fragments', bytes);
    });
    const bytes = message?.bytes ?? 0;
    this.#fragments.arrived(bytes, isSame ? bytes - this.#messageBytes : NaN);
    this.#message = message;
    this.#messageNumber = message?.number ?? 0;
    this.#messageBytes = bytes;
  }
}
