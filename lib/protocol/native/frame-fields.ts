/**
 * A type's own fields of one frame. An object and no function: a closure for each message, with what it holds on to, takes
 * twice the memory, which counts where a connection carries a hundred thousand messages a second.
 */
export interface FrameFields {
  /** Most bytes that {@link write} writes. */
  readonly bytes: number;
  /**
   * Writes the fields from a position, and returns where they end.
   *
   * @param isHeld the message is kept back: others overtake it
   */
  write(slab: Buffer, at: number, isHeld: boolean): number;
}

/** None. */
export const NO_FIELDS: FrameFields = { bytes: 0, write: (_slab, at) => at };

/** A call's id, or a heartbeat's token. */
export class NumberField implements FrameFields {
  readonly bytes = 4;
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  write(slab: Buffer, at: number): number {
    return slab.writeUInt32BE(this.#number, at);
  }
}

/** A pattern, spelled out. */
export class PatternField implements FrameFields {
  readonly #spelled: Buffer;
  /** Whether the message it was written for last is kept back. */
  isKeptBack = false;

  constructor(spelled: Buffer) {
    this.#spelled = spelled;
  }

  get bytes(): number {
    return 2 + this.#spelled.length;
  }

  write(slab: Buffer, at: number, isHeld: boolean): number {
    this.isKeptBack = isHeld;
    return slab.writeUInt16BE(this.#spelled.length, at) + this.#spelled.copy(slab, at + 2);
  }
}
