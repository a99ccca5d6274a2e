/** Who takes the items of a stream as they come. */
export interface ItemObserver {
  next(value: unknown): void;
  error(error: unknown): void;
  complete(): void;
}

interface Item {
  readonly value: unknown;
  readonly bytes: number;
}

interface Puller {
  resolve(result: IteratorResult<unknown, undefined>): void;
  reject(error: unknown): void;
}

/**
 * The items of a stream between who sends and who takes them. They are taken by one consumer, once: pulled, one
 * after another, or pushed to an observer. What is taken is reported, so that the sender may go on.
 */
export class ItemQueue implements AsyncIterableIterator<unknown, undefined> {
  readonly #taken: (bytes: number) => void;
  readonly #abandoned: () => void;
  #items: Item[] = [];
  #outcome: { readonly error?: unknown; readonly isFailed: boolean } | undefined;
  #pullers: Puller[] = [];
  #observer: ItemObserver | undefined;
  #isAbandoned = false;

  /**
   * @param taken the consumer has taken an item of so many bytes
   * @param abandoned the consumer wants no more, before the end
   */
  constructor(taken: (bytes: number) => void, abandoned: () => void) {
    this.#taken = taken;
    this.#abandoned = abandoned;
  }

  /** Items that nobody has taken yet. */
  get size(): number {
    return this.#items.length;
  }

  push(value: unknown, bytes: number): void {
    if (this.#outcome !== undefined || this.#isAbandoned) return;
    const puller = this.#pullers.shift();
    if (puller !== undefined) {
      puller.resolve({ done: false, value });
      this.#taken(bytes);
    } else if (this.#observer !== undefined) {
      this.#observer.next(value);
      this.#taken(bytes);
    } else this.#items.push({ value, bytes });
  }

  end(): void {
    this.#finish({ isFailed: false });
  }

  /** What has arrived is still delivered, then this. */
  fail(error: unknown): void {
    this.#finish({ isFailed: true, error });
  }

  /** No more will come, although it has not ended: who still pulls gets the error, an observer nothing more. */
  cutOff(error: unknown): void {
    if (this.#observer !== undefined) this.abandon();
    else this.fail(error);
  }

  /** Pushes what is here and what comes. @returns false when another consumer has it */
  observe(observer: ItemObserver): boolean {
    if (this.#observer !== undefined || this.#pullers.length > 0) return false;
    this.#observer = observer;
    for (let item = this.#items.shift(); item !== undefined && !this.#isAbandoned; item = this.#items.shift()) {
      observer.next(item.value);
      this.#taken(item.bytes);
    }
    this.#settle();
    return true;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#taken(item.bytes);
      return Promise.resolve({ done: false, value: item.value });
    }
    return new Promise((resolve, reject) => {
      this.#pullers.push({ resolve, reject });
      this.#settle();
    });
  }

  /** The consumer wants no more. */
  return(): Promise<IteratorResult<unknown, undefined>> {
    this.abandon();
    return Promise.resolve({ done: true, value: undefined });
  }

  abandon(): void {
    if (this.#isAbandoned) return;
    this.#isAbandoned = true;
    this.#items = [];
    this.#observer = undefined;
    const isOpen = this.#outcome === undefined;
    this.#outcome = { isFailed: false };
    this.#settle();
    if (isOpen) this.#abandoned();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(outcome: { readonly error?: unknown; readonly isFailed: boolean }): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#settle();
  }

  /** Tells the consumer of the end, once it has taken everything. */
  #settle(): void {
    if (this.#outcome === undefined || this.#items.length > 0) return;
    const { isFailed, error } = this.#outcome;
    const observer = this.#observer;
    this.#observer = undefined;
    if (isFailed) observer?.error(error);
    else observer?.complete();
    const [first, ...others] = this.#pullers;
    this.#pullers = [];
    if (first === undefined) return;
    if (isFailed) first.reject(error);
    else first.resolve({ done: true, value: undefined });
    // An iterator fails once; after that it is at its end.
    this.#outcome = { isFailed: false };
    for (const puller of others) puller.resolve({ done: true, value: undefined });
  }
}
