import { RecentLeast } from './recent-least.js';

/** Fewer bytes at once say nothing of how much a path carries: any queue takes them. */
const SEEN_FROM_BYTES = 128 * 1024;

/** What had been delivered when something was sent. */
export interface Delivery {
  readonly bytes: number;
  /** When the last of them were acknowledged. */
  readonly at: number;
  /** When those had been sent. */
  readonly sentAt: number;
}

/**
 * How much a path carries at its best, by what was acknowledged in the last minute, as BBR measures it
 * (draft-cheng-iccrg-delivery-rate-estimation): bytes over the time that sending or acknowledging them took, whichever was longer.
 */
export class DeliveryRate {
  #bytes = 0;
  #at = 0;
  #sentAt = 0;
  readonly #leastMsPerByte = new RecentLeast();

  /** Something is sent while nothing is under way: the pause before it is not the path's. */
  begin(now: number): void {
    this.#at = now;
    this.#sentAt = now;
  }

  /** To be kept with what is sent now. */
  get soFar(): Delivery {
    return { bytes: this.#bytes, at: this.#at, sentAt: this.#sentAt };
  }

  /** @param before what had been delivered when it was sent */
  acknowledged(bytes: number, sentAt: number, before: Delivery, now: number): void {
    this.#bytes += bytes;
    this.#at = now;
    this.#sentAt = sentAt;
    this.#leastMsPerByte.forget(now);
    const delivered = this.#bytes - before.bytes;
    const ms = Math.max(now - before.at, sentAt - before.sentAt);
    if (delivered >= SEEN_FROM_BYTES && ms > 0) this.#leastMsPerByte.add(ms / delivered);
  }

  /** What the path carries in so many milliseconds; 0 where nothing is known. */
  bytesIn(ms: number): number {
    return ms / this.#leastMsPerByte.value;
  }
}
