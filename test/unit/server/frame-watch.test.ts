import { describe, expect, it } from '@jest/globals';
import { FrameWatch } from '../../../lib/server/frame-watch.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { SessionPeer } from '../connection/session-peer.js';
import { nestFrameOf, packetsIn } from '../protocol/harness.js';

const LIMIT_MS = 10_000;

function watch() {
  const clock = new StepClock();
  const timeouts: number[] = [];
  const frames = new FrameWatch(clock, LIMIT_MS, (bytes) => timeouts.push(bytes));
  return { clock, timeouts, frames };
}

describe('a frame that has begun', () => {
  it('may take its time for each 64 KiB, and no more', () => {
    const { clock, timeouts, frames } = watch();
    let there = 1;
    frames.arrived(there, 1);
    // 6 minutes for 2.5 MB: slow, and honest.
    for (let i = 0; i < 40; i++) {
      clock.advance(LIMIT_MS - 1);
      there += 64 * 1024;
      frames.arrived(there, 64 * 1024);
    }
    expect(timeouts).toEqual([]);
    clock.advance(LIMIT_MS);
    expect(timeouts).toEqual([there]);
  });

  it('gains no time by single bytes', () => {
    const { clock, timeouts, frames } = watch();
    frames.arrived(10, 10);
    for (let there = 11; there < 20; there++) {
      clock.advance(1_000);
      frames.arrived(there, 1);
    }
    clock.advance(1_000);
    expect(timeouts).toEqual([19]);
  });

  it('is over when it is whole, and the next has its own time', () => {
    const { clock, timeouts, frames } = watch();
    frames.arrived(10, 10);
    clock.advance(LIMIT_MS - 1);
    // The end of one frame and the beginning of another, in one chunk.
    frames.arrived(5, 20);
    clock.advance(LIMIT_MS - 1);
    expect(timeouts).toEqual([]);
    frames.arrived(0, 20);
    clock.advance(10 * LIMIT_MS);
    expect(timeouts).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('gets its time again when this process was frozen', () => {
    const { clock, timeouts, frames } = watch();
    frames.arrived(10, 10);
    clock.freeze(60_000);
    clock.advance(1);
    expect(timeouts).toEqual([]);
    clock.advance(LIMIT_MS);
    expect(timeouts).toEqual([10]);
  });
});

describe('a session whose peer stops in mid-frame', () => {
  it.each([
    ['in the body', '500#{"id":"1",'],
    ['behind the header', '500#'],
    ['in the header', '50'],
  ])('%s is told why and closed', async (_where, bytes) => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { partialFrameTimeoutMs: LIMIT_MS });
    const [client, server] = peer.accept();
    client.write([nestFrameOf({ pattern: 'p', data: 1 }), Buffer.from(bytes)]);
    await settled();
    await clock.run(LIMIT_MS - 1);
    expect(server.isEnding).toBe(false);
    await clock.run(2);
    expect(packetsIn(Buffer.concat(server.writes)).at(-1)).toMatchObject({ err: { code: 'PTCP_FRAME_TIMEOUT' } });
    await clock.run(1_000);
    expect([server.isDestroyed, peer.sessions.length, clock.pending]).toEqual([true, 0, 0]);
  });

  it('stays open when the frame goes on, or between frames', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { partialFrameTimeoutMs: LIMIT_MS });
    const [client, server] = peer.accept();
    const frame = nestFrameOf({ pattern: 'p', data: 1 });
    client.write([frame.subarray(0, 5)]);
    await settled();
    await clock.run(LIMIT_MS - 1);
    client.write([frame.subarray(5)]);
    await settled();
    await clock.run(10 * LIMIT_MS);
    expect(server.isEnding).toBe(false);
    expect(peer.events).toHaveLength(1);
  });
});
