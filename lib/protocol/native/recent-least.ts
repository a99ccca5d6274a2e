/** What was seen longer ago says nothing of the path as it is. */
const MEMORY_MS = 30_000;

/** The least of what was seen in the last minute, or half of it. */
export class RecentLeast {
  /** Of this period and of the one before it. */
  #least = Infinity;
  #formerLeast = Infinity;
  #periodEndsAt = -Infinity;

  get value(): number {
    return Math.min(this.#least, this.#formerLeast);
  }

  /** Forgets what is too old. */
  forget(now: number): void {
    if (now < this.#periodEndsAt) return;
    this.#formerLeast = now < this.#periodEndsAt + MEMORY_MS ? this.#least : Infinity;
    this.#least = Infinity;
    this.#periodEndsAt = now + MEMORY_MS;
  }

  add(value: number): void {
    if (value < this.#least) this.#least = value;
  }
}
