import type { Clock, Timer } from './clock.js';

/** A point in time that passes once; {@link clear} it when it does not matter any more. */
export class Deadline {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #timer: Timer;
  #isPassed = false;

  /** @param onPassed called when the time has come */
  constructor(clock: Clock, delayMs: number, onPassed: () => void) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#timer = clock.setTimeout(() => {
      this.#isPassed = true;
      onPassed();
    }, delayMs);
  }

  get isPassed(): boolean {
    return this.#isPassed;
  }

  /** Milliseconds since it was set. */
  get elapsedMs(): number {
    return this.#clock.now() - this.#startedAt;
  }

  clear(): void {
    this.#clock.clearTimeout(this.#timer);
  }
}
