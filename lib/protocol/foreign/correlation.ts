import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import { DEFAULT_MAX_ID, type ForeignId, type ForeignMessage, type MessageCodec } from './message-codec.js';

/** - `unknown`: the first request will show it */
export type CorrelationKind = 'id' | 'serial' | 'unknown';

/** How the replies of one client's peers find their calls: what its codec says, or what its first request shows. */
export class Correlation {
  readonly maxId: number;
  readonly #onSerial: () => void;
  #kind: CorrelationKind;

  /** @param onSerial called when it shows that calls must run one after another; not where the codec says so */
  constructor({ correlation, maxId }: MessageCodec, onSerial: () => void = () => undefined) {
    this.#kind = correlation ?? 'unknown';
    this.maxId = maxId ?? DEFAULT_MAX_ID;
    this.#onSerial = onSerial;
  }

  get kind(): CorrelationKind {
    return this.#kind;
  }

  /** Encodes a request, and learns by it: bytes in which the id was never looked at cannot carry it. */
  learn(message: ForeignMessage, encode: (message: ForeignMessage) => Buffer): Buffer {
    if (this.#kind !== 'unknown') return encode(message);
    let isRead = false as boolean;
    const { id } = message;
    const watched = Object.defineProperty({ ...message }, 'id', {
      enumerable: true,
      get: () => {
        isRead = true;
        return id;
      },
    });
    const payload = encode(watched);
    this.#kind = isRead ? 'id' : 'serial';
    if (!isRead) this.#onSerial();
    return payload;
  }
}

/** Ids whose replies may still come are kept out of use; a peer that owes more than this answers hardly any. */
const MAX_ABANDONED = 4096;

/**
 * The ids of one connection's requests: they go up to the largest, begin again at 1, and skip those in use. The id of
 * a request that was given up is not used again before its reply has come, or that reply would answer another.
 *
 * @typeParam T whom a reply is for
 */
export class RequestIds<T> {
  readonly #maxId: number;
  readonly #owners = new Map<number, T>();
  readonly #abandoned = new Set<number>();
  #last = 0;

  constructor(maxId: number) {
    this.#maxId = maxId;
  }

  /** Whether so many ids wait for replies of requests that were given up that the connection should be, too. */
  get isSpoiled(): boolean {
    return this.#abandoned.size >= Math.min(MAX_ABANDONED, this.#maxId / 2);
  }

  /** @throws PooledTcpError `PTCP_CONNECTION_LOST`, unsent, when all are in use */
  add(owner: T): number {
    if (this.#owners.size + this.#abandoned.size >= this.#maxId) {
      throw new PooledTcpError(
        'PTCP_CONNECTION_LOST',
        `all ${this.#maxId} ids of the connection are in use; set pool.maxInFlight below the protocol’s window`,
      );
    }
    do this.#last = this.#last >= this.#maxId ? 1 : this.#last + 1;
    while (this.#owners.has(this.#last) || this.#abandoned.has(this.#last));
    this.#owners.set(this.#last, owner);
    return this.#last;
  }

  /** Whether the request still waits for its reply. */
  has(id: number, owner: T): boolean {
    return this.#owners.get(id) === owner;
  }

  /** The request was not sent, or its reply is there: its id is free. */
  remove(id: number): void {
    this.#owners.delete(id);
  }

  /** Nobody waits for the reply any more, which may still come. */
  abandon(id: number): void {
    if (this.#owners.delete(id)) this.#abandoned.add(id);
  }

  /**
   * A reply has come.
   *
   * @returns whom it is for; `late` where it was given up, undefined where nothing has this id
   */
  take(id: ForeignId): { readonly owner: T } | 'late' | undefined {
    const number = typeof id === 'number' ? id : Number(id);
    const owner = this.#owners.get(number);
    if (owner === undefined) return this.#abandoned.delete(number) ? 'late' : undefined;
    this.#owners.delete(number);
    return { owner };
  }

  /** Takes all out. */
  drain(): T[] {
    const owners = [...this.#owners.values()];
    this.#owners.clear();
    this.#abandoned.clear();
    return owners;
  }
}
