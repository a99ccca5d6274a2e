import { isAscii } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';

/** Less is gathered first: a text that comes byte by byte must not be a string for each, which takes thirty times the memory. */
const MIN_PIECE_BYTES = 16 * 1024;

/**
 * A text of UTF-8 that comes in pieces, each turned into characters as it comes; what is no UTF-8 becomes U+FFFD.
 *
 * Put together as bytes first, a text of 4 MiB is 8 MiB of memory outside V8's heap, its bytes and its characters: after
 * three of them V8 marks its whole heap, which stops everything for some 10 ms. Pieces are on the heap, in the young
 * generation, which is collected in one.
 */
export class TextPieces {
  #text = '';
  /** From the first piece on that is not ASCII: a character may begin in one piece and end in the next. */
  #decoder: StringDecoder | undefined;
  /** What is too little for a piece. */
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  #bytes = 0;
  #problem: { readonly cause: unknown } | undefined;

  /** How many have come. */
  get bytes(): number {
    return this.#bytes;
  }

  append(from: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (end - start >= MIN_PIECE_BYTES) {
      this.#addGathered();
      this.#add(from, start, end);
      return;
    }
    for (let at = start; at < end;) {
      this.#gathered ??= Buffer.allocUnsafeSlow(MIN_PIECE_BYTES);
      const taken = from.copy(this.#gathered, this.#gatheredBytes, at, end);
      this.#gatheredBytes += taken;
      at += taken;
      if (this.#gatheredBytes === MIN_PIECE_BYTES) this.#addGathered();
    }
  }

  /**
   * The text, once all of it has come.
   *
   * @throws RangeError when it is longer than a text can be
   */
  end(): string {
    this.#addGathered();
    if (this.#problem !== undefined) throw this.#problem.cause;
    return this.#text + (this.#decoder?.end() ?? '');
  }

  #addGathered(): void {
    const bytes = this.#gatheredBytes;
    this.#gatheredBytes = 0;
    if (this.#gathered !== undefined && bytes > 0) this.#add(this.#gathered, 0, bytes);
  }

  #add(from: Buffer, start: number, end: number): void {
    if (this.#problem !== undefined) return;
    const piece = from.subarray(start, end);
    if (this.#decoder === undefined && !isAscii(piece)) this.#decoder = new StringDecoder('utf8');
    try {
      this.#text += this.#decoder === undefined ? piece.toString('latin1') : this.#decoder.write(piece);
    } catch (cause) {
      this.#problem = { cause };
      this.#text = '';
    }
  }
}
