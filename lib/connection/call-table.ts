import type { Call } from './call.js';

/** The native protocol's ids have 32 bits; 0 is none. */
const MAX_ID = 2 ** 32 - 1;
const INITIAL_SLOTS = 64;
/** Of a table that has never held a call: an idle connection need not hold the places. */
const NO_SLOTS: (Call | undefined)[] = [];

/**
 * Calls in flight by their number. Numbers only go up, so a late reply to a finished call finds nobody.
 *
 * It is an array and no `Map`: a `Map` that is filled and emptied all the time throws its tables away, and V8
 * keeps those reachable from each other. With a hundred thousand calls a second, finished calls then survive
 * into the old generation: with 1 024 in flight a call costs the client half as much again. (With 256 there is no difference,
 * nor at a server, where few calls wait at the same time.)
 */
export class CallTable {
  /** A call sits at its id modulo the size, a power of two; at most half of the places are taken. */
  #slots: (Call | undefined)[] = NO_SLOTS;
  #size = 0;
  #lastId = 0;

  get size(): number {
    return this.#size;
  }

  /** Gives the call a number. */
  add(call: Call): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    do {
      this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1;
    } while (this.#slots[this.#lastId & mask] !== undefined);
    call.id = this.#lastId;
    this.#slots[call.id & mask] = call;
    this.#size += 1;
  }

  get(id: number): Call | undefined {
    const call = this.#slots[id & (this.#slots.length - 1)];
    return call?.id === id ? call : undefined;
  }

  /** Takes the call out; undefined when there is none of this number. */
  take(id: number): Call | undefined {
    const call = this.get(id);
    if (call === undefined) return undefined;
    this.#slots[id & (this.#slots.length - 1)] = undefined;
    this.#size -= 1;
    return call;
  }

  /** Takes all calls out. */
  drain(): Call[] {
    const calls = this.#slots.filter((call) => call !== undefined).sort((a, b) => a.id - b.id);
    this.#slots = NO_SLOTS;
    this.#size = 0;
    return calls;
  }

  #grow(): void {
    const grown = new Array<Call | undefined>(Math.max(this.#slots.length * 2, INITIAL_SLOTS));
    // Two calls that had different places have different ones now: the old bits of the place are among the new.
    for (const call of this.#slots) if (call !== undefined) grown[call.id & (grown.length - 1)] = call;
    this.#slots = grown;
  }
}
