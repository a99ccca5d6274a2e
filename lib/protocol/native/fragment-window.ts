/** What may be under way, unacknowledged: at first, at least, and at most. */
const INITIAL_BYTES = 128 * 1024;
const MIN_BYTES = 32 * 1024;
const MAX_BYTES = 1024 * 1024;
/** What an acknowledgement makes the window grow by, once it has been too large. */
const STEP_BYTES = 16 * 1024;
/** A round trip this much longer than twice the shortest means that fragments queue somewhere. */
const SLACK_MS = 1;
/** The shortest round trip of longer ago says nothing of the path as it is. */
const MEMORY_MS = 30_000;

/**
 * How many bytes of fragments may be under way. The window follows the delay that the fragments themselves cause, as
 * LEDBAT (RFC 6817) and TCP Vegas do: it grows while round trips stay near the shortest of the last minute, and shrinks
 * when they do not. On a slow link that keeps the link's queue short; on a fast one it keeps two busy event loops from
 * doing nothing but copying.
 */
export class FragmentWindow {
  #bytes = INITIAL_BYTES;
  /** Until it has been too large for the first time it doubles with each round trip, as TCP's slow start does. */
  #isStarting = true;
  /** When it last shrank: what was sent before tells of the window as it was, and of the same congestion. */
  #shrankAt = -Infinity;
  /** Of this period and of the one before it. */
  #shortestMs = Infinity;
  #formerShortestMs = Infinity;
  #periodEndsAt = -Infinity;

  get bytes(): number {
    return this.#bytes;
  }

  /** A fragment that was sent at one time has been acknowledged at another, both on the same clock. */
  acknowledged(bytes: number, sentAt: number, now: number): void {
    const roundTripMs = now - sentAt;
    const shortestMs = this.#shortestWith(roundTripMs, now);
    if (roundTripMs <= shortestMs * 2 + SLACK_MS) {
      this.#bytes = Math.min(this.#bytes + (this.#isStarting ? bytes : STEP_BYTES), MAX_BYTES);
      return;
    }
    if (sentAt < this.#shrankAt) return;
    this.#isStarting = false;
    this.#shrankAt = now;
    this.#bytes = Math.max(this.#bytes >> 1, MIN_BYTES);
  }

  #shortestWith(roundTripMs: number, now: number): number {
    if (now >= this.#periodEndsAt) {
      this.#formerShortestMs = this.#shortestMs;
      this.#shortestMs = roundTripMs;
      this.#periodEndsAt = now + MEMORY_MS;
    } else if (roundTripMs < this.#shortestMs) this.#shortestMs = roundTripMs;
    return Math.min(this.#shortestMs, this.#formerShortestMs);
  }
}
