import { LinkedList, type Linked } from '../../common/linked-list.js';
import type { EncodedMessage } from '../../protocol/messages.js';
import type { SlowReaderPolicy } from './push-settings.js';
import type { PushTally } from './push-tally.js';

/** A push that waits. */
export class WaitingPush implements Linked<WaitingPush> {
  readonly message: EncodedMessage;
  /** What later pushes it gives way to; undefined where it gives way to none. */
  readonly key: string | undefined;
  readonly mayBeDropped: boolean;
  /** Place in the order of arrival. */
  readonly order: number;
  previous: WaitingPush | undefined = undefined;
  next: WaitingPush | undefined = undefined;
  list: object | undefined = undefined;

  constructor(message: EncodedMessage, policy: SlowReaderPolicy, key: string | undefined, order: number) {
    this.message = message;
    this.mayBeDropped = policy !== 'disconnect';
    this.key = key;
    this.order = order;
  }
}

/**
 * Pushes that wait for one client. What comes out is a part of what went in, in the same order: a push that replaces
 * another stands where it came itself, so a client that keeps the position of the last one it got has missed nothing
 * that it would still have got.
 *
 * They are no more than `maxBytes`, unless it is a single one.
 */
export class PushQueue {
  readonly #maxBytes: number;
  readonly #tally: Pick<PushTally, 'dropped' | 'superseded'>;
  readonly #droppable = new LinkedList<WaitingPush>();
  readonly #kept = new LinkedList<WaitingPush>();
  readonly #latest = new Map<string, WaitingPush>();
  #droppableBytes = 0;
  #keptBytes = 0;
  #arrivals = 0;

  constructor(maxBytes: number, tally: Pick<PushTally, 'dropped' | 'superseded'>) {
    this.#maxBytes = maxBytes;
    this.#tally = tally;
  }

  get size(): number {
    return this.#droppable.size + this.#kept.size;
  }

  get bytes(): number {
    return this.#droppableBytes + this.#keptBytes;
  }

  /**
   * @param key of what it replaces, with `latestOnly`
   * @returns false when there is no room for one that must not be dropped: the client cannot be served any more
   */
  add(message: EncodedMessage, policy: SlowReaderPolicy, key: string): boolean {
    const isLatest = policy === 'latestOnly';
    if (isLatest) this.#supersede(key);
    // Beside what must not be dropped there is no place for it, whoever else goes.
    if (this.#kept.size > 0 && this.#keptBytes + message.bytes > this.#maxBytes) {
      if (policy === 'disconnect') return false;
      this.#tally.dropped += 1;
      return true;
    }
    for (
      let oldest = this.#droppable.first;
      oldest !== undefined && this.bytes + message.bytes > this.#maxBytes;
      oldest = this.#droppable.first
    ) {
      this.#remove(oldest);
      this.#tally.dropped += 1;
    }
    this.#arrivals += 1;
    const push = new WaitingPush(message, policy, isLatest ? key : undefined, this.#arrivals);
    if (push.mayBeDropped) {
      this.#droppable.addLast(push);
      this.#droppableBytes += message.bytes;
    } else {
      this.#kept.addLast(push);
      this.#keptBytes += message.bytes;
    }
    if (isLatest) this.#latest.set(key, push);
    return true;
  }

  /** The one that has waited longest. */
  take(): WaitingPush | undefined {
    const [kept, droppable] = [this.#kept.first, this.#droppable.first];
    const isKeptFirst = kept !== undefined && (droppable === undefined || kept.order < droppable.order);
    const oldest = isKeptFirst ? kept : droppable;
    if (oldest !== undefined) this.#remove(oldest);
    return oldest;
  }

  clear(): void {
    while (this.take() !== undefined);
  }

  #supersede(key: string): void {
    const former = this.#latest.get(key);
    if (former === undefined) return;
    this.#remove(former);
    this.#tally.superseded += 1;
  }

  #remove(push: WaitingPush): void {
    const { message, key, mayBeDropped } = push;
    if (mayBeDropped) {
      this.#droppable.remove(push);
      this.#droppableBytes -= message.bytes;
    } else {
      this.#kept.remove(push);
      this.#keptBytes -= message.bytes;
    }
    if (key !== undefined) this.#latest.delete(key);
  }
}
