export interface RetryBudgetSettings {
  /** Retries for each request, as a part of 1: 0.2 allows one for five. */
  readonly ratio: number;
  /** Retries a second that are allowed beside that, for clients with few requests. */
  readonly minPerSecond: number;
}

/** What happened longer ago does not count. */
const WINDOW_MS = 10_000;
const SLOTS = 10;
const SLOT_MS = WINDOW_MS / SLOTS;

/**
 * Keeps retries from multiplying an outage: when every call fails, a server gets a fifth more calls, not three times
 * as many. Each request pays in a part of a retry and each retry takes one out, both of which is forgotten after ten
 * seconds; a reserve lets those retry who have few requests. As Finagle's `RetryBudget`
 * (https://twitter.github.io/finagle/guide/Clients.html#retries,
 * https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/service/RetryBudget.scala).
 *
 * Shared by all calls of a client, hedged ones included. It has no clock: every call knows the time already.
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #reserve: number;
  /** Paid in less taken out, by the second. */
  readonly #slots = new Float64Array(SLOTS);
  /** The slot of now, counted from the beginning of time. */
  #current = 0;
  #balance = 0;

  constructor({ ratio, minPerSecond }: RetryBudgetSettings) {
    this.#ratio = ratio;
    this.#reserve = (minPerSecond * WINDOW_MS) / 1_000;
  }

  /** A request is made, for the first time. */
  requested(now: number): void {
    this.#add(this.#ratio, now);
  }

  /** Takes out a retry, or a hedged call; false when there is none left. */
  tryRetry(now: number): boolean {
    this.#forget(now);
    // Sums of fractions are not exact: five fifths must make one.
    if (this.#balance + this.#reserve < 1 - 1e-6) return false;
    this.#add(-1, now);
    return true;
  }

  #add(amount: number, now: number): void {
    this.#forget(now);
    const slot = this.#current % SLOTS;
    this.#slots[slot] = (this.#slots[slot] ?? 0) + amount;
    this.#balance += amount;
  }

  #forget(now: number): void {
    const current = Math.floor(now / SLOT_MS);
    if (current <= this.#current) return;
    if (current - this.#current >= SLOTS) this.#slots.fill(0);
    else for (let slot = this.#current + 1; slot <= current; slot++) this.#slots[slot % SLOTS] = 0;
    this.#current = current;
    // Anew from the slots, once a second: errors of rounding must not add up.
    this.#balance = this.#slots.reduce((sum, amount) => sum + amount, 0);
  }
}
