import { Backoff, type BackoffSettings } from '../common/backoff.js';
import type { Clock, Timer } from '../common/clock.js';

/** A dial that failed, and when. */
export interface DialFailure {
  readonly error: unknown;
  readonly at: number;
}

/**
 * Keeps failed dials apart: closed after a failure, for growing times. Dials that fail together count once.
 * Reopening goes through a timer, so a factory that rejects at once cannot starve the event loop.
 */
export class DialGate {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #onOpen: () => void;
  #timer: Timer | undefined;
  #lastFailure: DialFailure | undefined;
  #failures = 0;
  #isTrusted = true;

  constructor(settings: BackoffSettings, random: () => number, clock: Clock, onOpen: () => void) {
    this.#clock = clock;
    this.#backoff = new Backoff(settings, random);
    this.#onOpen = onOpen;
  }

  get isOpen(): boolean {
    return this.#timer === undefined;
  }

  /** Whether the peer is believed to be there: false from its loss, or a failed dial, until a dial succeeds. */
  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  /** The dial that failed last, while none has succeeded since. */
  get lastFailure(): DialFailure | undefined {
    return this.#lastFailure;
  }

  /** Failed dials since start. */
  get failures(): number {
    return this.#failures;
  }

  /** Failures in a row that closed the gate. */
  get attempts(): number {
    return this.#backoff.attempts;
  }

  /** Closes the gate; returns for how long, or undefined when it was closed already. */
  failed(error: unknown): number | undefined {
    this.#failures += 1;
    this.#isTrusted = false;
    this.#lastFailure = { error, at: this.#clock.now() };
    if (this.#timer !== undefined) return undefined;
    const delayMs = this.#backoff.next();
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#onOpen();
    }, delayMs);
    return delayMs;
  }

  /** A dial succeeded: the peer answers, so the gate opens at once. How long the next failure closes it, stays. */
  opened(): void {
    this.#isTrusted = true;
    this.#lastFailure = undefined;
    this.stop();
  }

  /** A connection was lost: the peer may have been restarted, and then others have noticed too. */
  suspect(): void {
    this.#isTrusted = false;
  }

  /** A connection has proved to be of use: the next failure is the first again. */
  proven(): void {
    this.#backoff.reset();
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
