import { Slots } from './slots.js';

/** The native protocol's ids have 32 bits; 0 is none. */
const MAX_ID = 2 ** 32 - 1;

/** Calls in flight by their number. Numbers only go up, so a late reply to a finished call finds nobody. */
export class CallTable<T extends { id: number }> {
  readonly #slots = new Slots<T>();
  #lastId = 0;

  get size(): number {
    return this.#slots.size;
  }

  /** Gives the call a number. */
  add(call: T): void {
    this.#slots.reserve();
    do {
      this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1;
    } while (!this.#slots.isFree(this.#lastId));
    call.id = this.#lastId;
    this.#slots.put(call.id, call);
  }

  get(id: number): T | undefined {
    return this.#slots.get(id);
  }

  /** Takes the call out; undefined when there is none of this number. */
  take(id: number): T | undefined {
    return this.#slots.take(id);
  }

  /** Takes all calls out. */
  drain(): T[] {
    const calls = this.#slots.values().sort((a, b) => a.id - b.id);
    this.#slots.clear();
    return calls;
  }
}
