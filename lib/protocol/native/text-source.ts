const encoder = new TextEncoder();
/** Where characters are written to be counted. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * A long text on its way out, written as UTF-8 piece by piece. To write it whole first takes memory of its size, which
 * the system has to clear page by page: of 4 MiB that takes ten times as long as the writing.
 *
 * Not for half of a surrogate pair, which UTF-8 cannot say.
 */
export class TextSource {
  readonly #text: string;
  /** Bytes of all of it. */
  readonly length: number;
  #left: number;
  /** Characters, as UTF-16 counts them, that have been written. */
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    let bytes = 0;
    for (let at = 0; at < text.length;) {
      const { read, written } = encoder.encodeInto(text.slice(at, at + scratch.length), scratch);
      at += read;
      bytes += written;
    }
    this.length = bytes;
    this.#left = bytes;
  }

  /** Bytes that have not been written yet. */
  get left(): number {
    return this.#left;
  }

  /**
   * Writes the next characters: as many as fit, and so up to three bytes less than there is room for.
   *
   * @returns bytes written
   */
  writeTo(slab: Buffer, at: number, room: number): number {
    // Where this cuts a pair, its half is not reached: each character before it has taken a byte, and it would need three.
    const characters = this.#text.slice(this.#at, this.#at + room);
    const { read, written } = encoder.encodeInto(characters, slab.subarray(at, at + room));
    this.#at += read;
    this.#left -= written;
    return written;
  }
}
