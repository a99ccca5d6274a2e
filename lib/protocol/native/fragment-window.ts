/** What may be under way, unacknowledged: at first, at least on any path, and at most. */
const INITIAL_BYTES = 128 * 1024;
const MIN_BYTES = 32 * 1024;
const MAX_BYTES = 1024 * 1024;
/** What an acknowledgement makes the window grow by, once it has been too large. */
const STEP_BYTES = 16 * 1024;
/** A round trip this much longer than twice the shortest means that fragments queue somewhere. */
const SLACK_MS = 1;
/** However long round trips take, the window holds what the path has been seen to carry in this time. */
const FLOOR_MS = 2;
/** Fewer bytes at once say nothing of how much a path carries: any queue takes them. */
const MEASURED_BYTES = 128 * 1024;
/** What was seen of longer ago says nothing of the path as it is. */
const MEMORY_MS = 30_000;

interface SentFragment {
  readonly bytes: number;
  readonly at: number;
  /** Bytes that had been acknowledged when it was sent, and when the last of them were. */
  readonly delivered: number;
  readonly deliveredAt: number;
  /** When the one was sent that had been acknowledged last by then. */
  readonly formerAt: number;
}

/** The smallest of what was seen in the last minute, or half of it. */
class RecentLeast {
  /** Of this period and of the one before it. */
  #least = Infinity;
  #formerLeast = Infinity;
  #periodEndsAt = -Infinity;

  get value(): number {
    return Math.min(this.#least, this.#formerLeast);
  }

  add(value: number, now: number): void {
    if (now >= this.#periodEndsAt) {
      this.#formerLeast = this.#least;
      this.#least = value;
      this.#periodEndsAt = now + MEMORY_MS;
    } else if (value < this.#least) this.#least = value;
  }
}

/**
 * How many bytes of fragments may be under way, and which are. The window follows the delay that the fragments themselves cause,
 * as LEDBAT (RFC 6817) and TCP Vegas do: it grows while round trips stay near the shortest of the last minute, and shrinks when they do
 * not. On a slow link that keeps the link's queue short.
 *
 * A round trip also takes long where the other side is at work on something else: on a message of megabytes, say. To send less then
 * helps nobody, and would leave the connection idle most of the time. So the window never holds less than the path carries in 2 ms,
 * measured as BBR does it (draft-cheng-iccrg-delivery-rate-estimation): what was acknowledged over the time that sending or
 * acknowledging it took, whichever was longer, and of that the most in the last minute.
 */
export class FragmentWindow {
  /** As delays alone would have it. */
  #bytes = INITIAL_BYTES;
  /** The oldest first. */
  #sent: SentFragment[] = [];
  #underWay = 0;
  #delivered = 0;
  #deliveredAt = 0;
  #formerAt = 0;
  /** Until it has been too large for the first time it doubles with each round trip, as TCP's slow start does. */
  #isStarting = true;
  /** When it last shrank: what was sent before tells of the window as it was, and of the same congestion. */
  #shrankAt = -Infinity;
  readonly #shortestMs = new RecentLeast();
  readonly #leastMsPerByte = new RecentLeast();

  get bytes(): number {
    return Math.min(Math.max(this.#bytes, FLOOR_MS / this.#leastMsPerByte.value), MAX_BYTES);
  }

  /** Bytes that have been sent and not acknowledged. */
  get underWay(): number {
    return this.#underWay;
  }

  sent(bytes: number, now: number): void {
    if (this.#underWay === 0) {
      this.#deliveredAt = now;
      this.#formerAt = now;
    }
    this.#sent.push({
      bytes,
      at: now,
      delivered: this.#delivered,
      deliveredAt: this.#deliveredAt,
      formerAt: this.#formerAt,
    });
    this.#underWay += bytes;
  }

  /** The peer has read so many bytes more. */
  acknowledged(bytes: number, now: number): void {
    let left = bytes;
    for (let first = this.#sent[0]; first !== undefined && first.bytes <= left; first = this.#sent[0]) {
      this.#sent.shift();
      left -= first.bytes;
      this.#underWay -= first.bytes;
      this.#measure(first, now);
      this.#adapt(first, now);
    }
  }

  #measure(fragment: SentFragment, now: number): void {
    this.#delivered += fragment.bytes;
    this.#deliveredAt = now;
    this.#formerAt = fragment.at;
    const bytes = this.#delivered - fragment.delivered;
    if (bytes < MEASURED_BYTES) return;
    const ms = Math.max(now - fragment.deliveredAt, fragment.at - fragment.formerAt);
    this.#leastMsPerByte.add(ms / bytes, now);
  }

  #adapt({ bytes, at }: SentFragment, now: number): void {
    const roundTripMs = now - at;
    this.#shortestMs.add(roundTripMs, now);
    if (roundTripMs <= this.#shortestMs.value * 2 + SLACK_MS) {
      this.#bytes = Math.min(this.#bytes + (this.#isStarting ? bytes : STEP_BYTES), MAX_BYTES);
      return;
    }
    if (at < this.#shrankAt) return;
    this.#isStarting = false;
    this.#shrankAt = now;
    this.#bytes = Math.max(this.#bytes >> 1, MIN_BYTES);
  }
}
