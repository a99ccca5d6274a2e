import { DeliveryRate, type Delivery } from './delivery-rate.js';
import { RecentLeast } from './recent-least.js';

/** What may be under way, unacknowledged: at first, at least, and at most. */
const INITIAL_BYTES = 128 * 1024;
const MIN_BYTES = 32 * 1024;
const MAX_BYTES = 1024 * 1024;
/** What an acknowledged fragment makes the window grow by, once it has been too large. */
const STEP_BYTES = 16 * 1024;
/** A round trip that is longer than so many times the shortest, and this much, means that fragments wait somewhere. */
const LONG_FACTOR = 1.5;
const SLACK_MS = 1;
/** However long round trips take, the window holds what the path has been seen to carry in this time. */
const FLOOR_MS = 2;
/** The smallest window takes as long only on links of less than 50 Mbit/s. */
const CLIMB_FROM_MS = 5;
/** How many windows are to be acknowledged before it is said what a window carries; and how many where a message ends. */
const MEASURED_WINDOWS = 2;
const LEAST_MEASURED_WINDOWS = 1;
/** A double window that carries this many times what the single one did is worth it. */
const GAIN = 1.33;
/** For so long what a climb has found is believed. */
const BELIEF_MS = 5_000;

interface SentFragment {
  readonly bytes: number;
  readonly at: number;
  /** What had been delivered when it was sent. */
  readonly before: Delivery;
}

/** The window is doubled as long as that carries more. */
interface Climb {
  /** The window before, and what it carried, in bytes a millisecond; undefined while that is found out. */
  readonly former: { readonly bytes: number; readonly rate: number } | undefined;
  /** When the window got its size: what was sent before tells of another. */
  readonly resizedAt: number;
  /** What was acknowledged since the first of what was sent with this size, and when that was. */
  carried: number;
  since: number | undefined;
}

/**
 * How many bytes of fragments may be under way, and which are. The window follows the delay that the fragments themselves cause,
 * as LEDBAT (RFC 6817) and TCP Vegas do: it grows while round trips stay near the shortest of the last minute, and shrinks when they do
 * not. On a slow link that keeps the link's queue short.
 *
 * A round trip also takes long where the other side is at work on something else, on a message of megabytes, say. To send less then
 * helps nobody, and leaves the connection idle most of the time. So the window never holds less than the path was seen to carry in 2 ms
 * at its best ({@link DeliveryRate}). And where even the smallest window has long round trips, as with a peer that always
 * reads once in 10 ms, it is doubled as long as it carries more.
 */
export class FragmentWindow {
  #bytes = INITIAL_BYTES;
  /** The oldest first. */
  #sent: SentFragment[] = [];
  #underWay = 0;
  /** Until it has been too large for the first time it doubles with each round trip, as TCP's slow start does. */
  #isStarting = true;
  /** When it last shrank: what was sent before tells of the window as it was, and of the same congestion. */
  #shrankAt = -Infinity;
  #acknowledgedAt = -Infinity;
  #climb: Climb | undefined;
  /** Until then the window stays as the last climb has left it. */
  #believedUntil = -Infinity;
  /** Not before then there is another. */
  #climbsFrom = -Infinity;
  readonly #shortestMs = new RecentLeast();
  readonly #rate = new DeliveryRate();
  /** What the path carries in {@link FLOOR_MS}, after the acknowledgement before. */
  #floorBytes = 0;

  get bytes(): number {
    return Math.min(Math.max(this.#bytes, this.#floorBytes), MAX_BYTES);
  }

  /** Bytes that have been sent and not acknowledged. */
  get underWay(): number {
    return this.#underWay;
  }

  sent(bytes: number, now: number): void {
    if (this.#underWay === 0) {
      if (now > this.#acknowledgedAt) this.#interrupt();
      this.#acknowledgedAt = now;
      this.#rate.begin(now);
    }
    this.#sent.push({ bytes, at: now, before: this.#rate.soFar });
    this.#underWay += bytes;
  }

  /** The peer has read so many bytes more. */
  acknowledged(bytes: number, now: number): void {
    this.#shortestMs.forget(now);
    let left = bytes;
    let newest: SentFragment | undefined;
    for (let first = this.#sent[0]; first !== undefined && first.bytes <= left; first = this.#sent[0]) {
      this.#sent.shift();
      this.#underWay -= first.bytes;
      left -= first.bytes;
      newest = first;
      this.#rate.acknowledged(first.bytes, first.at, first.before, now);
      this.#adapt(first, now);
    }
    if (newest === undefined) return;
    this.#floorBytes = this.#rate.bytesIn(FLOOR_MS);
    this.#acknowledgedAt = now;
    const climb = this.#climb;
    if (climb === undefined) return;
    if (climb.since !== undefined) climb.carried += bytes - left;
    else if (newest.at >= climb.resizedAt) climb.since = now;
    this.#judge(climb, MEASURED_WINDOWS);
  }

  /** There was nothing to send. What comes next begins with a round trip in which nothing can be acknowledged. */
  #interrupt(): void {
    const climb = this.#climb;
    if (climb === undefined || this.#judge(climb, LEAST_MEASURED_WINDOWS)) return;
    // Messages are too short for a window of this size.
    if (climb.former !== undefined) this.#bytes = climb.former.bytes;
    this.#endClimb(this.#acknowledgedAt);
  }

  #adapt({ bytes, at }: SentFragment, now: number): void {
    const roundTripMs = now - at;
    this.#shortestMs.add(roundTripMs);
    if (this.#climb !== undefined || now < this.#believedUntil) return;
    if (roundTripMs <= this.#shortestMs.value * LONG_FACTOR + SLACK_MS) {
      this.#bytes = Math.min(this.#bytes + (this.#isStarting ? bytes : Math.min(bytes, STEP_BYTES)), MAX_BYTES);
      return;
    }
    if (at < this.#shrankAt) return;
    this.#isStarting = false;
    this.#shrankAt = now;
    if (this.#bytes > MIN_BYTES) this.#bytes = Math.max(this.#bytes >> 1, MIN_BYTES);
    else if (this.bytes <= MIN_BYTES && roundTripMs >= CLIMB_FROM_MS && now >= this.#climbsFrom)
      this.#climbFrom(undefined, now);
  }

  #climbFrom(former: Climb['former'], now: number): void {
    this.#climb = { former, resizedAt: now, carried: 0, since: undefined };
  }

  /** @returns whether so many windows have been acknowledged that it could be said what one carries */
  #judge({ former, carried, since }: Climb, windows: number): boolean {
    const now = this.#acknowledgedAt;
    if (since === undefined || now <= since || carried < this.bytes * windows) return false;
    const rate = carried / (now - since);
    const isWorthIt = former === undefined || rate >= former.rate * GAIN;
    const { bytes } = this;
    if (isWorthIt && bytes < MAX_BYTES) {
      this.#climbFrom({ bytes, rate }, now);
      this.#bytes = Math.min(bytes * 2, MAX_BYTES);
      return true;
    }
    this.#bytes = isWorthIt ? bytes : former.bytes;
    this.#endClimb(now);
    return true;
  }

  #endClimb(now: number): void {
    this.#climb = undefined;
    this.#climbsFrom = now + BELIEF_MS;
    if (this.#bytes > MIN_BYTES) this.#believedUntil = now + BELIEF_MS;
  }
}
