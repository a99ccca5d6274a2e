/** Flips bits: each byte has the same chance to arrive with one of its bits turned. */
export class Corruption {
  readonly #chance: number;
  readonly #random: () => number;
  /** Bytes that pass before the next is hit; one random number for each hit instead of one for each byte. */
  #untilNext: number;

  constructor(chance: number, random: () => number) {
    this.#chance = chance;
    this.#random = random;
    this.#untilNext = this.#gap();
  }

  /** A copy with what was hit; the bytes themselves when nothing was. */
  apply(bytes: Buffer): Buffer {
    if (this.#untilNext >= bytes.length) {
      this.#untilNext -= bytes.length;
      return bytes;
    }
    const damaged = Buffer.from(bytes);
    let at = this.#untilNext;
    for (; at < damaged.length; at += 1 + this.#gap()) {
      damaged[at] = (damaged[at] ?? 0) ^ (1 << Math.floor(this.#random() * 8));
    }
    this.#untilNext = at - damaged.length;
    return damaged;
  }

  /** The geometric distribution: how many bytes are spared in a row. */
  #gap(): number {
    if (this.#chance >= 1) return 0;
    return Math.floor(Math.log(1 - this.#random()) / Math.log(1 - this.#chance));
  }
}
