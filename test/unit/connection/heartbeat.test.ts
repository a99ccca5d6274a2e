import { describe, expect, it } from '@jest/globals';
import { Heartbeat, type HeartbeatSettings } from '../../../lib/connection/heartbeat.js';
import { settled, StepClock } from '../../support/step-clock.js';

const INTERVAL_MS = 1_000;
const TIMEOUT_MS = 400;

function setUp(
  settings: HeartbeatSettings | false = {
    intervalMs: INTERVAL_MS,
    timeoutMs: TIMEOUT_MS,
    attempts: 1,
  },
) {
  const clock = new StepClock();
  const pings: number[] = [];
  const silences: number[] = [];
  const heartbeat: Heartbeat = new Heartbeat(clock, settings, {
    ping: (token) => pings.push(token),
    silent: (silentMs) => {
      silences.push(silentMs);
      heartbeat.stop();
    },
  });
  /** The peer answers the last ping. */
  const answer = (): void => {
    heartbeat.onRead();
    heartbeat.onPong(pings.at(-1) ?? 0);
  };
  return { clock, heartbeat, pings, silences, answer };
}

describe('heartbeat', () => {
  it('asks after the interval of silence, and once only', () => {
    const { clock, heartbeat, pings } = setUp();
    heartbeat.start();
    clock.advance(INTERVAL_MS - 1);
    expect(pings).toHaveLength(0);
    clock.advance(1);
    expect(pings).toHaveLength(1);
    clock.advance(TIMEOUT_MS - 1);
    expect(pings).toHaveLength(1);
  });

  it('counts the silence from the last read, and not from the last tick', () => {
    const { clock, heartbeat, pings } = setUp();
    heartbeat.start();
    clock.advance(INTERVAL_MS - 1);
    heartbeat.onRead();
    clock.advance(INTERVAL_MS - 1);
    expect(pings).toHaveLength(0);
    clock.advance(1);
    expect(pings).toHaveLength(1);
  });

  it('starts anew after an answer', () => {
    const { clock, heartbeat, pings, silences, answer } = setUp();
    heartbeat.start();
    clock.advance(INTERVAL_MS + 50);
    answer();
    clock.advance(INTERVAL_MS - 1);
    expect(pings).toHaveLength(1);
    clock.advance(TIMEOUT_MS);
    expect(pings).toHaveLength(2);
    expect(silences).toHaveLength(0);
  });

  it('takes any byte for a sign of life, not just the pong', () => {
    const { clock, heartbeat, silences } = setUp();
    heartbeat.start();
    clock.advance(INTERVAL_MS + 1);
    heartbeat.onRead();
    clock.advance(TIMEOUT_MS + 1);
    expect(silences).toHaveLength(0);
  });

  it('reports a peer that does not answer, with the whole silence', () => {
    const { clock, heartbeat, silences } = setUp();
    heartbeat.start();
    clock.advance(INTERVAL_MS + TIMEOUT_MS - 1);
    expect(silences).toHaveLength(0);
    clock.advance(1);
    expect(silences).toEqual([INTERVAL_MS + TIMEOUT_MS]);
    expect(clock.pending).toBe(0);
  });

  it('never pings a busy connection and never has more than one timer', () => {
    const { clock, heartbeat, pings } = setUp();
    heartbeat.start();
    for (let i = 0; i < 100; i++) {
      clock.advance(INTERVAL_MS / 2);
      heartbeat.onRead();
      expect(clock.pending).toBe(1);
    }
    expect(pings).toHaveLength(0);
  });

  it('asks again, instead of giving up, when the process was frozen while it waited for the answer', () => {
    const { clock, heartbeat, pings, silences, answer } = setUp();
    heartbeat.start();
    clock.advance(INTERVAL_MS);
    clock.freeze(60_000);
    clock.advance(0);
    expect(silences).toHaveLength(0);
    expect(pings).toHaveLength(2);
    clock.advance(TIMEOUT_MS - 1);
    answer();
    clock.advance(TIMEOUT_MS);
    expect(silences).toHaveLength(0);
  });

  it('gives a peer its full time after a freeze, and reports it then', () => {
    const { clock, heartbeat, silences } = setUp();
    heartbeat.start();
    clock.freeze(60_000);
    clock.advance(0);
    clock.advance(TIMEOUT_MS - 1);
    expect(silences).toHaveLength(0);
    clock.advance(1);
    expect(silences).toHaveLength(1);
  });

  it('measures the round trip, and ignores a pong to an older ping', () => {
    const { clock, heartbeat, pings, answer } = setUp();
    heartbeat.start();
    expect(heartbeat.roundTripMs).toBeUndefined();
    clock.advance(INTERVAL_MS + 30);
    heartbeat.onPong((pings[0] ?? 0) - 1);
    expect(heartbeat.roundTripMs).toBeUndefined();
    answer();
    expect(heartbeat.roundTripMs).toBe(30);
    clock.advance(70);
    answer();
    expect(heartbeat.roundTripMs).toBe(30);
  });

  it('probes at once, and resolves with the answer to its own ping: what the kernel still had is none', async () => {
    const { clock, heartbeat, pings } = setUp();
    const answers: string[] = [];
    void heartbeat.probe().then(() => answers.push('a'));
    expect(pings).toHaveLength(1);
    clock.advance(10);
    void heartbeat.probe().then(() => answers.push('b'));
    expect(pings).toHaveLength(2);
    heartbeat.onRead();
    await settled();
    expect(answers).toEqual([]);
    heartbeat.onPong(pings[0] ?? NaN);
    await settled();
    expect(answers).toEqual(['a']);
    heartbeat.onPong(pings[1] ?? NaN);
    await settled();
    expect(answers).toEqual(['a', 'b']);
  });

  it('takes the answer to the last of several pings for all of them, as from a peer that was behind', async () => {
    const { heartbeat, pings } = setUp();
    const probes = Promise.all([heartbeat.probe(), heartbeat.probe(), heartbeat.probe()]);
    heartbeat.onPong(pings[2] ?? NaN);
    await expect(probes).resolves.toHaveLength(3);
  });

  it('takes no answer to a ping that was never sent', async () => {
    const { heartbeat, pings } = setUp();
    let isAnswered = false;
    void heartbeat.probe().then(() => (isAnswered = true));
    for (const token of [(pings[0] ?? 0) + 1, 0, 2 ** 32 - 1, NaN]) heartbeat.onPong(token);
    await settled();
    expect(isAnswered).toBe(false);
  });

  it('finds a silent peer in time, however often it is probed meanwhile', () => {
    const { clock, heartbeat, silences } = setUp();
    heartbeat.start();
    clock.advance(INTERVAL_MS);
    for (let i = 0; i < 8; i++) {
      void heartbeat.probe();
      clock.advance(TIMEOUT_MS / 8);
    }
    expect(silences).toEqual([INTERVAL_MS + TIMEOUT_MS]);
  });

  it('probes without settings, and then needs no timer', async () => {
    const { clock, heartbeat, pings } = setUp(false);
    heartbeat.start();
    const probe = heartbeat.probe();
    heartbeat.onPong(pings[0] ?? NaN);
    await probe;
    expect(pings).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('asks as often as it is told before it gives up', () => {
    const { clock, heartbeat, pings, silences } = setUp({ intervalMs: 180_000, timeoutMs: 60_000, attempts: 3 });
    heartbeat.start();
    clock.advance(180_000);
    expect(pings).toHaveLength(1);
    clock.advance(60_000);
    expect(pings).toHaveLength(2);
    clock.advance(60_000);
    expect(pings).toHaveLength(3);
    clock.advance(59_999);
    expect(silences).toEqual([]);
    clock.advance(1);
    expect(pings).toHaveLength(3);
    expect(silences).toEqual([360_000]);
  });

  it('counts its questions anew after a sign of life', () => {
    const { clock, heartbeat, pings, silences } = setUp({ intervalMs: 100, timeoutMs: 10, attempts: 2 });
    heartbeat.start();
    clock.advance(115);
    expect(pings).toHaveLength(2);
    heartbeat.onRead();
    clock.advance(100);
    clock.advance(19);
    expect(silences).toEqual([]);
    clock.advance(6);
    expect(pings).toHaveLength(4);
    expect(silences).toEqual([120]);
  });

  it('leaves no timer behind when it is stopped', () => {
    const { clock, heartbeat, pings } = setUp();
    heartbeat.start();
    clock.advance(INTERVAL_MS);
    heartbeat.stop();
    expect(clock.pending).toBe(0);
    clock.advance(10 * INTERVAL_MS);
    expect(pings).toHaveLength(1);
  });
});
