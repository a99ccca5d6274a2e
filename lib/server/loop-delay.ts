import type { Clock, Timer } from '../common/clock.js';

/** How often the loop is looked at; also how long it must keep up before it counts as recovered. */
const PERIOD_MS = 50;

/**
 * Whether the event loop is late. A timer shows by how much; what is due and has not fired yet counts, too, so that
 * the second half of a long turn is not taken for a loop that keeps up.
 */
export class LoopDelay {
  readonly #clock: Clock;
  readonly #maxDelayMs: number;
  #timer: Timer | undefined;
  #dueAt = Infinity;
  #lastDelayMs = 0;

  constructor(clock: Clock, maxDelayMs: number) {
    this.#clock = clock;
    this.#maxDelayMs = maxDelayMs;
  }

  get isTooLate(): boolean {
    return this.#lastDelayMs > this.#maxDelayMs || this.#clock.now() - this.#dueAt > this.#maxDelayMs;
  }

  start(): void {
    if (this.#timer === undefined) this.#arm();
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dueAt = Infinity;
    this.#lastDelayMs = 0;
  }

  #arm(): void {
    this.#dueAt = this.#clock.now() + PERIOD_MS;
    this.#timer = this.#clock.setTimeout(() => {
      this.#lastDelayMs = this.#clock.now() - this.#dueAt;
      this.#arm();
    }, PERIOD_MS);
  }
}
