import { describe, expect, it } from '@jest/globals';
import { FragmentWindow } from '../../../lib/protocol/native/fragment-window.js';

const KIB = 1024;

/** A link that carries so many bytes in a millisecond, one fragment after the other, and takes a while for each besides. */
class Path {
  readonly window = new FragmentWindow();
  bytesPerMs: number;
  delayMs: number;
  now = 0;
  readonly #underWay: { readonly bytes: number; readonly sentAt: number; readonly arrivesAt: number }[] = [];
  #freeAt = 0;

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
      const waiting = this.#underWay.reduce((sum, fragment) => sum + fragment.bytes, 0);
      if (left > 0 && (waiting === 0 || waiting + 16 * KIB <= this.window.bytes)) {
        this.#freeAt = Math.max(this.#freeAt, this.now) + bytes / this.bytesPerMs;
        longestMs = Math.max(longestMs, this.#freeAt - this.now);
        this.#underWay.push({ bytes, sentAt: this.now, arrivesAt: this.#freeAt + this.delayMs });
        left -= bytes;
        continue;
      }
      const first = this.#underWay.shift();
      if (first === undefined) break;
      this.now = Math.max(this.now, first.arrivesAt);
      this.window.acknowledged(first.bytes, first.sentAt, this.now);
    }
    return longestMs;
  }

  /** Nothing is sent for so long. */
  rest(ms: number): void {
    this.now += ms;
  }
}

describe('the window of fragments', () => {
  it('is 1 MiB after three round trips where nothing holds them up', () => {
    const path = new Path(1_000_000, 0.2);
    path.send(1024 * KIB);
    expect(path.window.bytes).toBe(1024 * KIB);
  });

  it('is halved once for all that was under way when a round trip took long, and not for each of them', () => {
    const path = new Path(1_000_000, 0.2);
    path.send(4096 * KIB);
    const sentAt = path.now;
    for (let i = 0; i < 16; i++) path.window.acknowledged(64 * KIB, sentAt, sentAt + 20);
    expect(path.window.bytes).toBe(512 * KIB);
    path.send(4096 * KIB);
    expect(path.window.bytes).toBe(1024 * KIB);
  });

  it('keeps the queue of a slow link short, however many messages it has carried', () => {
    // 100 Mbit/s.
    const path = new Path(12_500, 0.5);
    path.send(4096 * KIB);
    for (let i = 0; i < 50; i++) {
      expect(path.send(4096 * KIB)).toBeLessThan(12);
      path.rest(300);
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
});
