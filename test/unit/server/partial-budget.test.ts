import { describe, expect, it } from '@jest/globals';
import { PartialBudget, type PartialHolder } from '../../../lib/server/partial-budget.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { SessionPeer } from '../connection/session-peer.js';
import { nativeFrame, nestFrameOf, packetsIn, uint32 } from '../protocol/harness.js';

const KIB = 1024;

/** Holders by name; who is asked to go lets go, as a connection does. */
function setUp(maxBytes: number) {
  const budget = new PartialBudget(maxBytes);
  const gone: string[] = [];
  const holder = (name: string): PartialHolder => ({ overBudget: () => gone.push(name) });
  return { budget, gone, holder };
}

describe('the budget for messages that have not come whole', () => {
  it('lets go of who has been at its message for the longest time, and of no more than it must', () => {
    const { budget, gone, holder } = setUp(100 * KIB);
    const [slow, large, late] = [holder('slow'), holder('large'), holder('late')];
    budget.set(slow, 20 * KIB, false);
    budget.set(large, 70 * KIB, false);
    budget.set(slow, 25 * KIB, true);
    expect(gone).toEqual([]);
    budget.set(late, 20 * KIB, false);
    expect(gone).toEqual(['slow']);
    expect(budget.total).toBe(90 * KIB);
  });

  it('takes a new message of the same connection for one that has just begun', () => {
    const { budget, gone, holder } = setUp(100 * KIB);
    const [busy, slow] = [holder('busy'), holder('slow')];
    budget.set(busy, 40 * KIB, false);
    budget.set(slow, 40 * KIB, false);
    budget.set(busy, 41 * KIB, false);
    budget.set(busy, 70 * KIB, true);
    expect(gone).toEqual(['slow']);
  });

  it('never ends the only one, however large', () => {
    const { budget, gone, holder } = setUp(10 * KIB);
    budget.set(holder('only'), 8_000 * KIB, false);
    expect(gone).toEqual([]);
  });

  it('does not count what is small, and forgets what is whole', () => {
    const { budget, holder } = setUp(100 * KIB);
    const one = holder('one');
    budget.set(one, 10 * KIB, false);
    expect(budget.total).toBe(0);
    budget.set(one, 50 * KIB, true);
    budget.set(one, 0, false);
    expect(budget.total).toBe(0);
  });
});

const HELLO = nestFrameOf({ pattern: 'pooled-tcp:hello', id: 'h', data: { versions: [1], maxFrameBytes: 8192 } });

describe('a session', () => {
  it('whose unfinished message is the oldest is told why and closed when all together are too large', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { maxPartialBytes: 100 * KIB });
    const [oldest, oldestServer] = peer.accept();
    const [second, secondServer] = peer.accept();
    const part = Buffer.concat([Buffer.from(`${500 * KIB}#`), Buffer.alloc(60 * KIB, 0x20)]);
    oldest.write([part]);
    await settled();
    second.write([part]);
    await settled();
    expect(packetsIn(Buffer.concat(oldestServer.writes))).toMatchObject([{ err: { code: 'PTCP_SERVER_OVERLOADED' } }]);
    expect([oldestServer.isEnding, secondServer.isEnding]).toEqual([true, false]);
    // It lets go at once, and what it still sends counts no more.
    oldest.write([Buffer.alloc(60 * KIB, 0x20)]);
    await settled();
    // A header that has been read counts as one.
    expect(peer.partialBudget.total).toBe(60 * KIB + 1);
    second.destroy();
    await settled();
    expect(peer.partialBudget.total).toBe(0);
    await clock.run(1_000);
    expect([peer.sessions.length, clock.pending]).toEqual([0, 0]);
  });

  it('whose message in fragments does not go on is told why and closed, whatever else it says meanwhile', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { partialFrameTimeoutMs: 1_000 });
    const [client, server] = peer.accept();
    client.write([HELLO, nativeFrame(13, 0x12, uint32(300 * KIB), Buffer.alloc(20 * KIB))]);
    await settled();
    for (let i = 0; i < 9; i++) {
      await clock.run(100);
      client.write([nativeFrame(8, 0, uint32(i)), nativeFrame(13, 2, Buffer.alloc(1))]);
      await settled();
    }
    expect(server.isEnding).toBe(false);
    await clock.run(101);
    expect(Buffer.concat(server.writes).toString('latin1')).toContain('PTCP_FRAME_TIMEOUT');
    await clock.run(1_000);
    expect([peer.sessions.length, peer.partialBudget.total, clock.pending]).toEqual([0, 0, 0]);
  });

  it('goes on where 64 KiB of such a message come in time, and between messages', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { partialFrameTimeoutMs: 1_000 });
    const [client, server] = peer.accept();
    const total = 4 * 64 * KIB;
    client.write([HELLO, nativeFrame(13, 0x12, uint32(total), Buffer.from([2, 0x12, 0, 0, 0, 1, 0x70]))]);
    await settled();
    for (let i = 0; i < 3; i++) {
      await clock.run(999);
      client.write([nativeFrame(13, 2, Buffer.alloc(64 * KIB))]);
      await settled();
    }
    client.write([nativeFrame(13, 2, Buffer.alloc(64 * KIB - 7))]);
    await settled();
    expect(peer.events).toMatchObject([{ pattern: 'p' }]);
    await clock.run(10_000);
    expect(server.isEnding).toBe(false);
    client.destroy();
    await settled();
    expect([peer.sessions.length, clock.pending]).toEqual([0, 0]);
  });
});

describe('events whose handlers do not end', () => {
  it('are dropped beyond maxInFlightPerConnection, with a reason, until some have ended', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { maxInFlightPerConnection: 3 });
    const [client] = peer.accept();
    const event = nestFrameOf({ pattern: 'p', data: 1 });
    client.write([event, event, event, event, event]);
    await settled();
    expect(peer.events).toHaveLength(3);
    expect(peer.droppedEvents).toHaveLength(2);
    expect(peer.droppedEvents[0]).toContain('maxInFlightPerConnection');
    // Said twice, it counts once.
    peer.eventEnds[0]?.();
    peer.eventEnds[0]?.();
    client.write([event, event]);
    await settled();
    expect([peer.events.length, peer.droppedEvents.length, peer.endedEvents]).toEqual([4, 3, 1]);
    client.destroy();
    await settled();
  });

  it('take no place of a call, nor does a call take theirs', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { maxInFlightPerConnection: 1 });
    const [client, server] = peer.accept();
    client.write([nestFrameOf({ pattern: 'p', data: 1 }), nestFrameOf({ id: '1', pattern: 'q', data: 1 })]);
    await settled();
    expect(peer.calls.map(({ pattern }) => pattern)).toEqual(['q']);
    client.write([nestFrameOf({ id: '2', pattern: 'q', data: 1 }), nestFrameOf({ pattern: 'p', data: 2 })]);
    await settled();
    expect(packetsIn(Buffer.concat(server.writes))).toMatchObject([
      { id: '2', err: { code: 'PTCP_SERVER_OVERLOADED' } },
    ]);
    expect(peer.droppedEvents).toHaveLength(1);
    client.destroy();
    await settled();
  });

  it('are dropped where the server has as many as maxInFlight allows', async () => {
    const peer = new SessionPeer(new StepClock());
    peer.overload = 'the server is full';
    const [client] = peer.accept();
    client.write([nestFrameOf({ pattern: 'p', data: 1 })]);
    await settled();
    expect([peer.events, peer.droppedEvents]).toEqual([[], ['the server is full']]);
    client.destroy();
    await settled();
  });
});
