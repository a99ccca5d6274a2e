import { describe, expect, it } from '@jest/globals';
import { FragmentWindow } from '../../../lib/protocol/native/fragment-window.js';

const KIB = 1024;

/**
 * A link that carries so many bytes in a millisecond, one fragment after the other, and takes a while for each besides; and
 * a peer that reads all that has come and is then at work on something else for a while.
 */
class Path {
  readonly window = new FragmentWindow();
  bytesPerMs: number;
  delayMs: number;
  workMs = 0;
  now = 0;
  readonly #underWay: { readonly bytes: number; readonly arrivesAt: number }[] = [];
  #linkFreeAt = 0;
  /** When the peer read last. */
  #turnAt = 0;

  constructor(bytesPerMs: number, delayMs: number) {
    this.bytesPerMs = bytesPerMs;
    this.delayMs = delayMs;
  }

  /** Sends a message; returns the longest that the link was busy with what it had been given, in milliseconds. */
  send(total: number): number {
    let left = total;
    let longestMs = 0;
    while (left > 0 || this.#underWay.length > 0) {
      const bytes = Math.min(left, Math.min(Math.max(this.window.bytes >> 2, 16 * KIB), 64 * KIB));
      const { underWay } = this.window;
      if (left > 0 && (underWay === 0 || underWay + 16 * KIB <= this.window.bytes)) {
        this.#linkFreeAt = Math.max(this.#linkFreeAt, this.now) + bytes / this.bytesPerMs;
        longestMs = Math.max(longestMs, this.#linkFreeAt - this.now);
        this.#underWay.push({ bytes, arrivesAt: this.#linkFreeAt + this.delayMs });
        this.window.sent(bytes, this.now);
        left -= bytes;
        continue;
      }
      this.#readOne();
    }
    return longestMs;
  }

  /** Nothing is sent for so long. */
  rest(ms: number): void {
    this.now += ms;
  }

  #readOne(): void {
    const first = this.#underWay.shift();
    if (first === undefined) return;
    // What had come by its last turn was read then.
    if (first.arrivesAt > this.#turnAt) this.#turnAt = Math.max(first.arrivesAt, this.#turnAt + this.workMs);
    this.now = Math.max(this.now, this.#turnAt);
    this.window.acknowledged(first.bytes, this.now);
  }
}

describe('the window of fragments', () => {
  it('is 1 MiB after three round trips where nothing holds them up', () => {
    const path = new Path(1_000_000, 0.2);
    path.send(1024 * KIB);
    expect(path.window.bytes).toBe(1024 * KIB);
  });

  it('is halved once for all that was under way when a round trip took long, and not for each of them', () => {
    // 400 Mbit/s, with more than one round trip in the air.
    const path = new Path(50_000, 40);
    path.send(8192 * KIB);
    expect(path.window.bytes).toBe(1024 * KIB);
    const sentAt = path.now;
    for (let i = 0; i < 16; i++) path.window.sent(64 * KIB, sentAt);
    for (let i = 0; i < 16; i++) path.window.acknowledged(64 * KIB, sentAt + 200);
    expect(path.window.bytes).toBe(512 * KIB);
    path.send(8192 * KIB);
    expect(path.window.bytes).toBe(1024 * KIB);
  });

  it.each([
    [0, 12],
    // Its turns are the shortest round trip that there is.
    [10, 30],
  ])('keeps the queue of a slow link short, with a peer that reads each %i ms: below %i ms', (workMs, mostMs) => {
    // 100 Mbit/s.
    const path = new Path(12_500, 0.5);
    path.workMs = workMs;
    path.send(4096 * KIB);
    for (let i = 0; i < 50; i++) {
      expect(path.send(4096 * KIB)).toBeLessThan(mostMs);
      path.rest(300);
    }
  });

  it('does not shrink to nothing where it is the peer that takes its time', () => {
    const path = new Path(1_000_000, 0.2);
    path.send(4096 * KIB);
    path.workMs = 10;
    for (let i = 0; i < 10; i++) {
      const begun = path.now;
      path.send(16 * 1024 * KIB);
      // 16 turns of the peer, for what it is given at once is 1 MiB, and never much less.
      expect(path.now - begun).toBeLessThan(16 * 10 * 2);
    }
  });

  it('learns within a minute that a path has become longer', () => {
    const path = new Path(125_000, 1);
    path.send(4096 * KIB);
    path.delayMs = 50;
    for (let i = 0; i < 70; i++) {
      path.send(4096 * KIB);
      path.rest(1_000);
    }
    expect(path.window.bytes).toBe(1024 * KIB);
  });

  it('learns within a minute that a path carries less', () => {
    const path = new Path(1_000_000, 0.5);
    path.send(64 * 1024 * KIB);
    path.bytesPerMs = 12_500;
    for (let i = 0; i < 70; i++) {
      path.send(1024 * KIB);
      path.rest(1_000);
    }
    expect(path.send(4096 * KIB)).toBeLessThan(12);
  });
});
