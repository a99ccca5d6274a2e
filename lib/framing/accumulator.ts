const INITIAL_BYTES = 4 * 1024;
/** An announced size is believed up to here, and whole once so much has come. */
const MAX_TRUSTED_BYTES = 256 * 1024;
/** Between frames; shared, so that idle connections hold none. */
const NOTHING = Buffer.alloc(0);

/**
 * The part of a frame that has arrived so far. Grows by doubling, so a frame that comes byte by byte costs
 * linear time, and a peer that only announces a large frame makes us hold little. From 256 KiB on it has the size that was
 * announced: every megabyte that is allocated on the way brings the next garbage collection closer.
 */
export class Accumulator {
  #bytes: Buffer = NOTHING;
  #length = 0;
  #expected = 0;

  get length(): number {
    return this.#length;
  }

  /** What has arrived; valid until the next {@link append}. */
  get view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** So many bytes are to come, as the peer says: a frame of usual size is then put together in one place. */
  expect(bytes: number): void {
    this.#expected = bytes;
    const size = Math.min(bytes, MAX_TRUSTED_BYTES);
    if (size > this.#bytes.length) this.#resize(size);
  }

  append(chunk: Buffer, start = 0, end = chunk.length): void {
    const needed = this.#length + (end - start);
    if (needed > this.#bytes.length) {
      const grown = needed >= MAX_TRUSTED_BYTES ? this.#expected : 0;
      this.#resize(Math.max(needed, INITIAL_BYTES, grown > needed ? grown : this.#bytes.length * 2));
    }
    chunk.copy(this.#bytes, this.#length, start, end);
    this.#length = needed;
  }

  /** Hands the bytes over to the caller, for good, and starts empty. */
  take(): Buffer {
    const taken = this.view;
    this.#bytes = NOTHING;
    this.#length = 0;
    this.#expected = 0;
    return taken;
  }

  #resize(size: number): void {
    const resized = Buffer.allocUnsafeSlow(size);
    this.#bytes.copy(resized, 0, 0, this.#length);
    this.#bytes = resized;
  }
}
