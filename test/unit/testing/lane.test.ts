import { describe, expect, it } from '@jest/globals';
import type { FaultOptions } from '../../../lib/testing/faults.js';
import { Lane } from '../../../lib/testing/lane.js';
import { seededRandom } from '../../../lib/testing/random.js';
import { thrownBy } from '../../support/bytes.js';
import { StepClock } from '../../support/step-clock.js';

/** A lane between a source and a sink that only take notes. */
class LaneBench {
  readonly clock = new StepClock();
  /** What the sink got, in order, with the time since the start. */
  readonly events: [atMs: number, what: string][] = [];
  readonly pieces: Buffer[] = [];
  isPaused = false;
  resets = 0;
  /** The sink takes nothing until told. */
  isSlow = false;
  #taken: (() => void)[] = [];
  readonly lane: Lane;
  readonly #startedAt = this.clock.now();

  constructor(faults: FaultOptions = {}, { seed = 1, windowBytes = 1000 } = {}) {
    this.lane = new Lane({
      source: { pause: () => (this.isPaused = true), resume: () => (this.isPaused = false) },
      sink: {
        write: (bytes, taken) => {
          this.pieces.push(bytes);
          this.#note(bytes.toString('latin1'));
          this.#taken.push(taken);
        },
        end: () => this.#note('END'),
        reset: () => this.#note('RESET'),
      },
      clock: this.clock,
      random: seededRandom(seed),
      windowBytes,
      onReset: () => {
        this.resets += 1;
        this.lane.silence();
      },
    });
    this.lane.set(faults);
  }

  get delivered(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }

  send(text: string): this {
    this.lane.receive(Buffer.from(text, 'latin1'));
    this.drain();
    return this;
  }

  /** The sink takes what it was given, and what comes of that. */
  drain(): void {
    while (!this.isSlow && this.#taken.length > 0) this.#taken.shift()?.();
  }

  /** Time passes, a millisecond at a time. */
  pass(ms: number): void {
    for (let i = 0; i < ms; i++) {
      this.clock.advance(1);
      this.drain();
    }
  }

  #note(what: string): void {
    this.events.push([this.clock.now() - this.#startedAt, what]);
  }
}

describe('a lane without faults', () => {
  it('passes bytes and the end of the stream at once, in order', () => {
    const bench = new LaneBench().send('ab').send('c');
    bench.lane.sourceEnded();
    expect(bench.events).toEqual([
      [0, 'ab'],
      [0, 'c'],
      [0, 'END'],
    ]);
    expect(bench.lane).toMatchObject({ receivedBytes: 3, deliveredBytes: 3, heldBytes: 0 });
    expect(bench.clock.pending).toBe(0);
  });

  it('writes one piece at a time, and stops the source while the window is full', () => {
    const bench = new LaneBench({}, { windowBytes: 10 });
    bench.isSlow = true;
    bench.send('123456').send('789012');
    expect(bench.events).toEqual([[0, '123456']]);
    expect(bench.isPaused).toBe(true);
    bench.isSlow = false;
    bench.drain();
    expect(bench.delivered).toBe('123456789012');
    expect(bench.isPaused).toBe(false);
  });

  it('passes a reset on after the bytes that came before it', () => {
    const bench = new LaneBench({ latencyMs: 5 }).send('a');
    bench.lane.sourceReset();
    bench.pass(5);
    expect(bench.events).toEqual([
      [5, 'a'],
      [5, 'RESET'],
    ]);
  });
});

describe('delays', () => {
  it('latency is added to every chunk, and to the end', () => {
    const bench = new LaneBench({ latencyMs: 20 }).send('a');
    bench.pass(10);
    bench.send('b');
    bench.lane.sourceEnded();
    bench.pass(30);
    expect(bench.events).toEqual([
      [20, 'a'],
      [30, 'b'],
      [30, 'END'],
    ]);
  });

  it('jitter varies, and reorders nothing', () => {
    const bench = new LaneBench({ latencyMs: 10, jitterMs: 30 });
    for (const letter of 'abcdefgh') bench.send(letter);
    bench.pass(40);
    expect(bench.delivered).toBe('abcdefgh');
    const times = bench.events.map(([at]) => at);
    expect(new Set(times).size).toBeGreaterThan(1);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(10);
  });

  it('bandwidth passes so many bytes in a second and no more', () => {
    const bench = new LaneBench({ bytesPerSecond: 1000 }, { windowBytes: 10_000 }).send('x'.repeat(2000));
    bench.pass(1000);
    expect(bench.lane.deliveredBytes).toBe(1010);
    bench.pass(1000);
    expect(bench.lane.deliveredBytes).toBe(2000);
  });

  it('a delay that is taken back lets what waits pass at its own time, not later', () => {
    const bench = new LaneBench({ bytesPerSecond: 1 }).send('abc');
    bench.lane.heal();
    bench.drain();
    expect(bench.events).toEqual([
      [0, 'a'],
      [0, 'bc'],
    ]);
  });

  it('a stall holds everything and loses nothing', () => {
    const bench = new LaneBench({ stall: true }, { windowBytes: 2 }).send('abc');
    bench.lane.sourceEnded();
    bench.pass(1000);
    expect(bench.events).toEqual([]);
    expect(bench.isPaused).toBe(true);
    bench.lane.set({ stall: false });
    bench.drain();
    expect(bench.events).toEqual([
      [1000, 'abc'],
      [1000, 'END'],
    ]);
  });
});

describe('slices', () => {
  it('of one byte are written one at a time', () => {
    const bench = new LaneBench({ sliceBytes: 1 }).send('abc');
    expect(bench.events.map(([, what]) => what)).toEqual(['a', 'b', 'c']);
  });
});

describe('a blackhole', () => {
  it('takes everything, delivers nothing, and never stops the source', () => {
    const bench = new LaneBench({ blackhole: true }, { windowBytes: 1 }).send('abc');
    bench.lane.sourceEnded();
    bench.lane.sourceReset();
    expect(bench.events).toEqual([]);
    expect(bench.isPaused).toBe(false);
    expect(bench.lane).toMatchObject({ receivedBytes: 3, deliveredBytes: 0, heldBytes: 0 });
  });

  it('that has swallowed something leaves the direction silent: no stream has a hole', () => {
    const bench = new LaneBench({ blackhole: true }).send('a');
    bench.lane.heal();
    bench.send('b');
    expect(bench.events).toEqual([]);
  });

  it('that met nothing leaves no trace', () => {
    const bench = new LaneBench({ blackhole: true });
    bench.lane.heal();
    expect(bench.send('b').delivered).toBe('b');
  });

  it('swallows what is on its way', () => {
    const bench = new LaneBench({ latencyMs: 5 }).send('a');
    bench.lane.set({ blackhole: true });
    bench.pass(10);
    expect(bench.events).toEqual([]);
    expect(bench.clock.pending).toBe(0);
  });
});

describe('a limit', () => {
  it('lets exactly so many bytes pass, counted from when it is set, then resets both ends', () => {
    const bench = new LaneBench().send('abc');
    bench.lane.set({ limit: { afterBytes: 2, then: 'reset' } });
    bench.send('defg');
    expect(bench.delivered).toBe('abcde');
    expect(bench.resets).toBe(1);
  });

  it('ends the stream where it says so, and swallows the rest', () => {
    const bench = new LaneBench({ limit: { afterBytes: 0, then: 'end' } }).send('abc').send('d');
    expect(bench.events).toEqual([[0, 'END']]);
    expect(bench.resets).toBe(0);
  });

  it('is taken back with false', () => {
    const bench = new LaneBench({ limit: { afterBytes: 1 } });
    bench.lane.set({ limit: false });
    expect(bench.send('abc').delivered).toBe('abc');
  });
});

describe('corruption', () => {
  const damage = (seed: number): Buffer => {
    const bench = new LaneBench({ corrupt: 0.01 }, { seed, windowBytes: 1e6 });
    for (let i = 0; i < 100; i++) bench.send('\0'.repeat(100));
    return Buffer.concat(bench.pieces);
  };

  it('flips one bit of about so many bytes, and neither adds nor removes any', () => {
    const damaged = damage(1);
    expect(damaged).toHaveLength(10_000);
    const hit = [...damaged].filter((byte) => byte !== 0);
    expect(hit.every((byte) => (byte & (byte - 1)) === 0)).toBe(true);
    expect(hit.length).toBeGreaterThan(50);
    expect(hit.length).toBeLessThan(200);
  });

  it('is the same for the same seed, and another for another', () => {
    expect(damage(1).equals(damage(1))).toBe(true);
    expect(damage(1).equals(damage(2))).toBe(false);
  });

  it('of chance 1 hits every byte, and leaves the sender’s own bytes alone', () => {
    const bench = new LaneBench({ corrupt: 1 });
    const bytes = Buffer.from('\0\0\0');
    bench.lane.receive(bytes);
    expect(bench.delivered).not.toContain('\0');
    expect(bytes.equals(Buffer.alloc(3))).toBe(true);
  });
});

describe('options', () => {
  it.each<[object, string]>([
    [{ latencyMs: -1 }, 'faults.latencyMs'],
    [{ corrupt: 2 }, 'faults.corrupt'],
    [{ limit: { afterBytes: 1, then: 'explode' } }, 'faults.limit.then'],
    [{ blackHole: true }, 'did you mean blackhole?'],
  ])('%j is refused with its path', (faults, says) => {
    expect(thrownBy(() => new LaneBench(faults as FaultOptions)).message).toContain(says);
  });

  it('what is left out stays as it is', () => {
    const bench = new LaneBench({ latencyMs: 5 });
    bench.lane.set({ sliceBytes: 1 });
    expect(bench.lane.faults).toMatchObject({ latencyMs: 5, sliceBytes: 1 });
  });
});
