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
      this.#read();
    }
    return longestMs;
  }

  /** Nothing is sent for so long. */
  rest(ms: number): void {
    this.now += ms;
  }

  /** The peer reads all that has come by its turn, and acknowledges it. */
  #read(): void {
    const [first] = this.#underWay;
    if (first === undefined) return;
    if (first.arrivesAt > this.#turnAt) this.#turnAt = Math.max(first.arrivesAt, this.#turnAt + this.workMs);
    this.now = Math.max(this.now, this.#turnAt);
    let bytes = 0;
    while (this.#underWay[0] !== undefined && this.#underWay[0].arrivesAt <= this.#turnAt)
      bytes += this.#underWay.shift()?.bytes ?? 0;
    this.window.acknowledged(bytes, this.now);
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
    [0, 10],
    // Its turns are the shortest round trip that there is.
    [10, 35],
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

  it('is not what makes round trips long where it is the peer that takes its time: it grows until more carries no more', () => {
    const path = new Path(1_000_000, 0.2);
    path.send(4096 * KIB);
    path.workMs = 10;
    let ms = 0;
    // Five minutes with pauses, so that whatever was learnt in the first of them is forgotten.
    for (let i = 0; i < 300; i++) {
      const begun = path.now;
      path.send(16 * 1024 * KIB);
      ms += path.now - begun;
      path.rest(500);
    }
    // 16 turns of the peer each with 1 MiB, 512 with the smallest window.
    expect(ms / 300).toBeLessThan(512 * 10 * 0.4);
  });

  it('does so also where the path was slow before', () => {
    const path = new Path(12_500, 0.2);
    for (let i = 0; i < 70; i++) {
      path.send(4096 * KIB);
      path.rest(600);
    }
    path.bytesPerMs = 1_000_000;
    path.workMs = 10;
    for (let i = 0; i < 5; i++) path.send(16 * 1024 * KIB);
    const begun = path.now;
    path.send(16 * 1024 * KIB);
    expect(path.now - begun).toBeLessThan(16 * 10 * 2);
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

  it.each([30_000, 50_000, 1_000_000])('learns that a path carries less than %i bytes in a millisecond', (former) => {
    const path = new Path(former, 0.5);
    for (let i = 0; i < 20; i++) path.send(4096 * KIB);
    // 10 Mbit/s: the smallest window takes 26 ms.
    path.bytesPerMs = 1_250;
    for (let i = 0; i < 70; i++) {
      path.send(1024 * KIB);
      path.rest(1_000);
    }
    expect(path.send(1024 * KIB)).toBeLessThan(80);
  });
});
