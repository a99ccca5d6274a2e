import type { Clock, Timer } from '../common/clock.js';
import type { RetryBudget } from './retry-budget.js';

/**
 * When a call that is slow to answer is made a second time elsewhere, and whichever answers first counts ("The Tail
 * at Scale", Dean and Barroso, 2013). Once for each call, and only while the retry budget allows it: when everything
 * is slow, second calls would make it slower.
 */
export class Hedge {
  readonly #clock: Clock;
  readonly #budget: RetryBudget;
  readonly #begin: () => void;
  #timer: Timer | undefined;

  /** @param begin makes the second call; called once at most */
  constructor(clock: Clock, budget: RetryBudget, delayMs: number, begin: () => void) {
    this.#clock = clock;
    this.#budget = budget;
    this.#begin = begin;
    this.#timer = clock.setTimeout(this.#onDelay, delayMs);
  }

  /** The call is over, or has begun to be answered. Idempotent. */
  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #onDelay = (): void => {
    this.#timer = undefined;
    if (this.#budget.tryRetry(this.#clock.now())) this.#begin();
  };
}
