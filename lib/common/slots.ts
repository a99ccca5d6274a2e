const INITIAL_SLOTS = 64;
/** More places than that are not kept for when nothing is in them: a burst must not cost an idle connection memory for good. */
const MAX_EMPTY_SLOTS = 1024;

/** Of slots that have never held anything: an idle connection need not hold the places. */
const NONE: undefined[] = [];

/**
 * Things by a number that goes up: each sits at its number modulo the size, a power of two.
 *
 * It is an array and no `Map`: a `Map` that is filled and emptied all the time throws its tables away, and V8 keeps each
 * table reachable from the one before it, together with whatever it held then. Once one of them has come into the old
 * generation, each garbage collection of the young one takes calls that were over long ago for living ones, and moves
 * them there: at a hundred thousand calls a second that took a server three times the time for garbage collection.
 */
export class Slots<T extends { readonly id: unknown }> {
  #places: (T | undefined)[] = NONE;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Places, taken and free. */
  get places(): number {
    return this.#places.length;
  }

  get(id: number): T | undefined {
    const found = this.#places[id & (this.#places.length - 1)];
    return found?.id === id ? found : undefined;
  }

  /** Makes room for one more: afterwards at most half of the places are taken. */
  reserve(): void {
    if ((this.#size + 1) * 2 > this.#places.length) this.#grow();
  }

  /** Whether the place of this number is free; {@link reserve} comes first. */
  isFree(id: number): boolean {
    return this.#places[id & (this.#places.length - 1)] === undefined;
  }

  /** Puts it in the place of its number, which must be free. */
  put(id: number, thing: T): void {
    this.#places[id & (this.#places.length - 1)] = thing;
    this.#size += 1;
  }

  /** Takes it out; undefined when there is none of this number. */
  take(id: number): T | undefined {
    const found = this.get(id);
    if (found === undefined) return undefined;
    this.#places[id & (this.#places.length - 1)] = undefined;
    this.#size -= 1;
    if (this.#size === 0 && this.#places.length > MAX_EMPTY_SLOTS) this.#places = NONE;
    return found;
  }

  /** In no order. */
  values(): T[] {
    return this.#places.filter((thing) => thing !== undefined);
  }

  clear(): void {
    this.#places = NONE;
    this.#size = 0;
  }

  #grow(): void {
    const grown = new Array<T | undefined>(Math.max(this.#places.length * 2, INITIAL_SLOTS));
    // Two that had different places have different ones now: the old bits of the place are among the new.
    for (const thing of this.#places) if (thing !== undefined) grown[(thing.id as number) & (grown.length - 1)] = thing;
    this.#places = grown;
  }
}
