import type { ForeignMessage } from './message-codec.js';

/** A request that waits until the one before it has been answered; its bytes are held. */
export interface HeldRequest<T> {
  readonly owner: T;
  readonly id: number;
  /** Undefined for a heartbeat. */
  readonly message: ForeignMessage | undefined;
  readonly parts: readonly Buffer[];
  readonly bytes: number;
}

/**
 * The requests of a serial connection: one is out, the others wait in order. Nothing tells replies apart, so the next
 * is sent only once the reply of the last is there.
 */
export class SerialLine<T> {
  readonly #send: (parts: readonly Buffer[]) => void;
  readonly #hold: (bytes: number) => void;
  #current: Pick<HeldRequest<T>, 'owner' | 'id' | 'message'> | undefined;
  #waiting: HeldRequest<T>[] = [];

  /**
   * @param send writes a request
   * @param hold counts bytes that wait, a negative number those that do not any more
   */
  constructor(send: (parts: readonly Buffer[]) => void, hold: (bytes: number) => void) {
    this.#send = send;
    this.#hold = hold;
  }

  get isBusy(): boolean {
    return this.#current !== undefined;
  }

  /** The request whose reply is awaited. */
  get message(): ForeignMessage | undefined {
    return this.#current?.message;
  }

  /** Whether it waits for its turn. */
  holds(owner: T): boolean {
    return this.#waiting.some((request) => request.owner === owner);
  }

  isCurrent(owner: T): boolean {
    return this.#current?.owner === owner;
  }

  /** Sends it now or when its turn comes. @throws PooledTcpError `PTCP_WRITE_OVERFLOW` when too much waits */
  add(owner: T, id: number, message: ForeignMessage | undefined, parts: readonly Buffer[]): void {
    if (this.#current === undefined && this.#waiting.length === 0) {
      this.#current = { owner, id, message };
      this.#send(parts);
      return;
    }
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    this.#hold(bytes);
    this.#waiting.push({ owner, id, message, parts, bytes });
  }

  /** The reply is there. @returns whom it is for; the next may be sent with {@link next} */
  take(): { readonly owner: T; readonly id: number } | undefined {
    const current = this.#current;
    this.#current = undefined;
    return current;
  }

  /** Sends the request whose turn it is. */
  next(): void {
    if (this.#current !== undefined) return;
    const request = this.#waiting.shift();
    if (request === undefined) return;
    this.#hold(-request.bytes);
    this.#current = request;
    this.#send(request.parts);
  }

  /** It gave up while it waited. @returns its id, undefined where it did not wait */
  drop(owner: T): number | undefined {
    const request = this.#waiting.find((waiting) => waiting.owner === owner);
    if (request === undefined) return undefined;
    this.#waiting = this.#waiting.filter((waiting) => waiting !== request);
    this.#hold(-request.bytes);
    return request.id;
  }

  /** Nothing further is sent. @returns those who waited */
  stop(): T[] {
    const owners = this.#waiting.map(({ owner }) => owner);
    for (const { bytes } of this.#waiting) this.#hold(-bytes);
    this.#waiting = [];
    return owners;
  }
}
