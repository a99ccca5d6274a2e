/** From here on a message that has not come whole is counted; smaller ones are bounded by the number of connections. */
const COUNTED_FROM_BYTES = 16 * 1024;

/** Whoever holds a part of a message. */
export interface PartialHolder {
  /** All connections together hold too much, and this one has been at its message for the longest time. */
  overBudget(): void;
}

/**
 * What all connections together hold of messages that have not come whole. Each connection may hold one of
 * `maxFrameBytes`, and thousands of them are more than there is memory: when there is too much, who has been at it for
 * the longest time goes. That is the slowest, and never the last one: a single message may always come.
 */
export class PartialBudget {
  readonly #maxBytes: number;
  /** In the order in which their messages began. */
  readonly #held = new Map<PartialHolder, number>();
  #total = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get total(): number {
    return this.#total;
  }

  /**
   * @param bytes that the holder has of its unfinished message now; 0 for none
   * @param isSame whether the message is the one that it had before
   */
  set(holder: PartialHolder, bytes: number, isSame: boolean): void {
    const counted = bytes < COUNTED_FROM_BYTES ? 0 : bytes;
    const before = this.#held.get(holder) ?? 0;
    if (counted === 0 && before === 0) return;
    this.#total += counted - before;
    if (counted === 0 || !isSame) this.#held.delete(holder);
    if (counted > 0) this.#held.set(holder, counted);
    while (this.#total > this.#maxBytes && this.#held.size > 1) this.#release();
  }

  #release(): void {
    for (const [holder, bytes] of this.#held) {
      this.#held.delete(holder);
      this.#total -= bytes;
      holder.overBudget();
      return;
    }
  }
}
