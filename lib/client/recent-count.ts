const SLOT_MS = 1_000;

/** How often something happened within the last seconds; forgets by the second. It has no clock: callers know the time. */
export class RecentCount {
  readonly #slots: Float64Array;
  /** The slot of now, counted from the beginning of time. */
  #current = 0;
  #total = 0;
  #firstAt: number | undefined;

  /** @param seconds for how long it remembers, and up to a second longer */
  constructor(seconds: number) {
    // One more: the second that has just begun is not a whole one yet.
    this.#slots = new Float64Array(seconds + 1);
  }

  add(now: number): void {
    this.#forget(now);
    this.#firstAt ??= now;
    const slot = this.#current % this.#slots.length;
    this.#slots[slot] = (this.#slots[slot] ?? 0) + 1;
    this.#total += 1;
  }

  total(now: number): number {
    this.#forget(now);
    return this.#total;
  }

  /** Mean over the time it remembers, or over that since the first where this is shorter; never over less than 1 s. */
  perSecond(now: number): number {
    const total = this.total(now);
    if (this.#firstAt === undefined) return 0;
    const oldestSlot = (this.#current - this.#slots.length + 1) * SLOT_MS;
    return (total * 1_000) / Math.max(1_000, now - Math.max(this.#firstAt, oldestSlot));
  }

  #forget(now: number): void {
    const current = Math.floor(now / SLOT_MS);
    const { length } = this.#slots;
    if (current <= this.#current) return;
    if (current - this.#current >= length) {
      this.#slots.fill(0);
      this.#total = 0;
    } else {
      for (let slot = this.#current + 1; slot <= current; slot++) {
        this.#total -= this.#slots[slot % length] ?? 0;
        this.#slots[slot % length] = 0;
      }
    }
    this.#current = current;
  }
}
