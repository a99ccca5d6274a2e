import { MAX_TIMER_MS } from './options.js';
import type { Clock, Timer } from './clock.js';

/**
 * One timer for many dates: it is set to the earliest, and whoever is called looks for what is due and sets the
 * next. Setting a later date costs a comparison, so that thousands of deadlines need no timer each.
 */
export class Alarm {
  readonly #clock: Clock;
  readonly #onDue: (latenessMs: number) => void;
  #timer: Timer | undefined;
  #at = Infinity;

  /** @param onDue gets by how much the timer was late, which is large when the process was frozen */
  constructor(clock: Clock, onDue: (latenessMs: number) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Makes sure that it rings at this time, or earlier. */
  setAt(at: number): void {
    if (at >= this.#at) return;
    this.clear();
    this.#at = at;
    const delayMs = Math.min(Math.max(Math.ceil(at - this.#clock.now()), 1), MAX_TIMER_MS);
    this.#timer = this.#clock.setTimeout(() => {
      const latenessMs = this.#clock.now() - this.#at;
      this.#timer = undefined;
      this.#at = Infinity;
      this.#onDue(latenessMs);
    }, delayMs);
  }

  clear(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#at = Infinity;
  }
}
