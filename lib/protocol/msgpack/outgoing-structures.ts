import { MAX_STRUCTURE_KEYS, MAX_STRUCTURE_KEY_BYTES, MAX_STRUCTURES } from './limits.js';
import type { MessagePackPackage, Packr } from './package.js';

/** The package asks about a new structure only while it has a number left, so one is never given out. */
const MAX_DEFINED = MAX_STRUCTURES - 1;
/** Shapes seen once; a second time makes a structure of them. */
const MAX_CANDIDATES = 64;
/** Keys of objects without a structure that the package may remember before it is made anew: it never forgets. */
const MAX_REMEMBERED_KEYS = 4096;

/** Half of a character has no bytes of its own: two such keys could arrive as the same one. */
const SURROGATE = /[\ud800-\udfff]/;

/**
 * The structures that one direction of a connection has defined: lists of keys that cross it once, after which an
 * object is a number and its values.
 *
 * They stay in step with the peer by being told in front of the first payload that is *sent* after they came to be,
 * in order. Whether the payload that brought them up was sent itself is then of no matter.
 */
export class OutgoingStructures {
  readonly #package: MessagePackPackage;
  readonly #alone: Packr;
  #packr: Packr | undefined;
  /** The package appends to it. */
  #keys: string[][] = [];
  #toldCount = 0;
  readonly #candidates = new Set<string>();
  #rememberedKeys = 0;
  #state: 'free' | 'packing' | 'broken' = 'free';

  constructor(messagePack: MessagePackPackage, alone: Packr) {
    this.#package = messagePack;
    this.#alone = alone;
  }

  /** The value with structures; undefined where it has to do without. */
  pack(value: unknown, mode: number): ReturnType<Packr['pack']> | undefined {
    // A getter may send something while it is read, and the package's state for this connection is in use.
    if (this.#state !== 'free') return undefined;
    if (this.#rememberedKeys > MAX_REMEMBERED_KEYS) {
      this.#packr = undefined;
      this.#rememberedKeys = 0;
    }
    this.#packr ??= this.#makePackr();
    this.#state = 'packing';
    try {
      const packed = this.#packr.pack(value, mode);
      this.#state = 'free';
      return packed;
    } finally {
      // The value had been looked through: only the unforeseen throws, and may leave a structure half made.
      if (this.#state === 'packing') this.#state = 'broken';
    }
  }

  /** Whether the peer has to learn a structure before it can read the value packed last. */
  get hasNews(): boolean {
    return this.#keys.length > this.#toldCount;
  }

  /** What the peer has to learn: how many structures, and the keys of each. Overwrites what was packed last. */
  definitions(): Buffer {
    const fresh = this.#keys.slice(this.#toldCount);
    return Buffer.concat([
      Buffer.from([fresh.length]),
      ...fresh.map((keys) => Buffer.from(this.#alone.pack([...keys]))),
    ]);
  }

  /** What {@link definitions} returned last is on its way. */
  told(): void {
    this.#toldCount = this.#keys.length;
  }

  #makePackr(): Packr {
    this.#keys = this.#keys.map((keys) => [...keys]);
    return new this.#package.Packr({
      structures: this.#keys,
      maxSharedStructures: MAX_STRUCTURES,
      maxOwnStructures: 0,
      mapsAsObjects: true,
      variableMapSize: true,
      useToJSON: false,
      shouldShareStructure: (keys) => this.#isWorthIt(keys),
    });
  }

  /** Asked for each object of a shape that is not a structure. */
  #isWorthIt(keys: readonly string[]): boolean {
    if (this.#keys.length < MAX_DEFINED && isShareable(keys)) {
      const shape = keys.join('\0');
      if (this.#candidates.delete(shape)) return true;
      if (this.#candidates.size >= MAX_CANDIDATES) this.#candidates.clear();
      this.#candidates.add(shape);
    }
    this.#rememberedKeys += keys.length;
    return false;
  }
}

function isShareable(keys: readonly string[]): boolean {
  // A character is three bytes at most.
  return (
    keys.length > 0 &&
    keys.length <= MAX_STRUCTURE_KEYS &&
    keys.every((key) => key.length * 3 <= MAX_STRUCTURE_KEY_BYTES && key !== '__proto__' && !SURROGATE.test(key))
  );
}
