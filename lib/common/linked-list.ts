/** What an item must carry to sit in a {@link LinkedList}; written by the list only. */
export interface Linked<T> {
  previous: T | undefined;
  next: T | undefined;
  list: object | undefined;
}

/**
 * An intrusive doubly linked list: O(1) at both ends and O(1) removal from the middle, no allocation.
 * An item sits in at most one list at a time; which one is its state.
 */
export class LinkedList<T extends Linked<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first;
  }

  get last(): T | undefined {
    return this.#last;
  }

  addFirst(item: T): void {
    this.#adopt(item);
    const next = this.#first;
    item.next = next;
    if (next === undefined) this.#last = item;
    else next.previous = item;
    this.#first = item;
  }

  addLast(item: T): void {
    this.#adopt(item);
    const previous = this.#last;
    item.previous = previous;
    if (previous === undefined) this.#first = item;
    else previous.next = item;
    this.#last = item;
  }

  /** Takes the item out; false when it was not in this list. */
  remove(item: T): boolean {
    if (item.list !== this) return false;
    const { previous, next } = item;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    item.previous = undefined;
    item.next = undefined;
    item.list = undefined;
    this.#size -= 1;
    return true;
  }

  /** From first to last. The current item may be removed while iterating. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    let item = this.#first;
    while (item !== undefined) {
      const next: T | undefined = item.next;
      yield item;
      item = next;
    }
  }

  #adopt(item: T): void {
    if (item.list !== undefined) throw new Error('linked list: the item already sits in a list');
    item.list = this;
    this.#size += 1;
  }
}
