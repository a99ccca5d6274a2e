const SLAB_BYTES = 64 * 1024;
/** About where a copy comes to cost more than another entry in `writev`. */
const REFERENCE_FROM_BYTES = 16 * 1024;
const MAX_SPARE_SLABS = 16;
/** From here on a slab costs less than further entries in `writev`. */
const MAX_SHARED_PARTS = 16;

/** Slabs that no connection uses just now. Shared, so that idle connections hold none. */
const spareSlabs: Buffer[] = [];

/**
 * Bytes on their way out. Small frames are encoded straight into one slab, large buffers are passed by
 * reference, and one tick's output leaves as one list of parts. Positions returned by the methods are valid
 * until the next {@link take}.
 */
export class Output {
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #slab: Buffer | undefined;
  /** Slabs that are full, whose bytes have not left yet. */
  #full: Buffer[] | undefined;
  /** Start of the slab's part that is not in `#parts` yet, and its end. */
  #start = 0;
  #end = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#partsBytes + this.#end - this.#start;
  }

  /** Room for `size` contiguous bytes; write them into `slab` from `position`, then {@link commit}. */
  reserve(size: number): { slab: Buffer; position: number } {
    if (this.#slab === undefined || this.#slab.length - this.#end < size) {
      this.#seal();
      // First, since it may throw: a slab that was set aside and is still in use would come to be lent twice.
      const slab =
        size <= SLAB_BYTES ? (spareSlabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES)) : Buffer.allocUnsafeSlow(size);
      this.#setAside();
      this.#slab = slab;
      this.#start = 0;
      this.#end = 0;
    }
    return { slab: this.#slab, position: this.#end };
  }

  /** The reserved bytes up to `end` (a position in the slab) are written. */
  commit(end: number): void {
    this.#end = end;
  }

  /** Appends bytes: copies small ones, keeps a reference to large ones, which the caller then must not change. */
  append(bytes: Buffer): void {
    if (bytes.length >= REFERENCE_FROM_BYTES) {
      this.#seal();
      this.#push(bytes);
      return;
    }
    const { slab, position } = this.reserve(bytes.length);
    bytes.copy(slab, position);
    this.commit(position + bytes.length);
  }

  /**
   * Appends bytes that go to many connections at once, or that stay as they are anyway: the first few without a copy, for
   * which each connection would need a slab of its own. The caller must not change them.
   */
  share(bytes: Buffer): void {
    if (this.#slab === undefined && this.#parts.length < MAX_SHARED_PARTS) this.#push(bytes);
    else this.append(bytes);
  }

  appendText(text: string): void {
    const { slab, position } = this.reserve(text.length * 3);
    this.commit(position + slab.write(text, position, 'utf8'));
  }

  /** Hands the parts over and starts empty. */
  take(): Buffer[] {
    this.#seal();
    const parts = this.#parts;
    this.#parts = [];
    this.#partsBytes = 0;
    return parts;
  }

  /**
   * What {@link take} returned has left for the kernel whole: its slabs may be written again from the start.
   * Without this call no slab is reused, since the socket may still read from it.
   */
  recycle(): void {
    this.#setAside();
    for (const slab of this.#full ?? []) if (spareSlabs.length < MAX_SPARE_SLABS) spareSlabs.push(slab);
    this.forget();
  }

  /** The socket may still read from the slabs: leave them to the garbage collector. */
  forget(): void {
    this.#full = undefined;
    this.#slab = undefined;
    this.#start = 0;
    this.#end = 0;
  }

  #setAside(): void {
    if (this.#slab?.length !== SLAB_BYTES) return;
    this.#full ??= [];
    this.#full.push(this.#slab);
  }

  #seal(): void {
    if (this.#slab === undefined || this.#end === this.#start) return;
    this.#push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #push(part: Buffer): void {
    this.#parts.push(part);
    this.#partsBytes += part.length;
  }
}
