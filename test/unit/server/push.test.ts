import { describe, expect, it } from '@jest/globals';
import type { PooledTcpServerOptions } from '../../../lib/server/settings.js';
import { pushToMany } from '../../../lib/server/push/push-to-many.js';
import { TagIndex } from '../../../lib/server/push/tag-index.js';
import { Client } from '../../../lib/client/client.js';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import type { Session } from '../../../lib/server/session.js';
import { RecordingLogger } from '../../support/logs.js';
import type { MemoryTransport } from '../../support/memory-transport.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { message, Replies } from '../client/client-setup.js';
import { SessionPeer } from '../connection/session-peer.js';

/** What `Connection` lets wait in the socket. */
const SOCKET_BYTES = 256 * 1024;

/** Clients that are connected to one server in memory; what they get of the pattern `q` is noted. */
async function connected(server: PooledTcpServerOptions = {}, client: PooledTcpClientOptions = {}, count = 1) {
  const clock = new StepClock();
  const peer = new SessionPeer(clock, { ...server });
  const logger = new RecordingLogger();
  const transports: MemoryTransport[] = [];
  const got: unknown[][] = [];
  const clients: Client[] = [];
  for (let i = 0; i < count; i++) {
    const own: unknown[] = [];
    const next = new Client(
      resolveClientOptions({ endpoints: ['a:1'], heartbeat: false, ...client, pool: { min: 1, max: 1 } }),
      { connected: () => undefined },
      {
        logger,
        clock,
        connector: ({ address }) => {
          const [near, far] = peer.accept(address);
          transports.push(far);
          return Promise.resolve(near);
        },
      },
    );
    next.pushes.listen('q', (data) => own.push(data));
    await next.connect();
    clients.push(next);
    got.push(own);
  }
  const [session] = peer.sessions;
  const [transport] = transports;
  const [one] = clients;
  const [heard] = got;
  if (session === undefined || transport === undefined || one === undefined || heard === undefined)
    throw new Error('nobody is connected');
  /** The client reads no more, and the socket is full. */
  const stall = (): void => {
    transport.pause();
    for (let i = 0; i < 4; i++) session.push('fill', Buffer.alloc(SOCKET_BYTES / 4));
  };
  return {
    logger,
    peer,
    session,
    transport,
    client: one,
    got,
    heard,
    stall,
  };
}

const size = (bytes: number, n: number): { n: number; pad: string } => ({ n, pad: 'x'.repeat(bytes) });

describe('pushes to a client that reads', () => {
  it('leave as they come, and none ever waits', async () => {
    const { session, heard, peer } = await connected();
    for (let i = 0; i < 100; i++) session.push('q', i);
    expect(session.pendingPushBytes).toBe(0);
    await settled();
    expect(heard).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(peer.pushTally.stats(0)).toEqual({ sent: 100, dropped: 0, superseded: 0, disconnected: 0, pendingBytes: 0 });
  });

  it('are not slow because much is pushed in one turn: the kernel is asked first', async () => {
    const { session, heard, peer } = await connected({ push: { maxPendingBytes: 1024 } });
    for (let i = 0; i < 40; i++) session.push('q', size(64 * 1024, i));
    await settled();
    expect(heard.map((it) => (it as { n: number }).n)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(peer.pushTally).toMatchObject({ sent: 40, dropped: 0, disconnected: 0 });
  });

  it('keep their order when some are so large that the client takes them piece by piece', async () => {
    const { session, heard } = await connected();
    for (let i = 0; i < 6; i++) session.push('q', size(i % 2 === 0 ? 600 * 1024 : 10, i));
    expect(session.pendingPushBytes).toBeGreaterThan(0);
    await settled();
    await settled();
    expect(heard.map((it) => (it as { n: number }).n)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(session.pendingPushBytes).toBe(0);
  });
});

describe('pushes to a client that does not read', () => {
  it('wait within maxPendingBytes, in order, and arrive when it reads again', async () => {
    const { session, transport, heard, stall } = await connected({ push: { slowReader: 'disconnect' } });
    stall();
    for (let i = 0; i < 50; i++) session.push('q', size(1_000, i));
    await settled();
    expect(session.pendingPushBytes).toBeGreaterThan(50 * 1_000);
    expect(heard).toEqual([]);
    transport.resume();
    await settled();
    expect(heard.map((it) => (it as { n: number }).n)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(session.pendingPushBytes).toBe(0);
  });

  it('are dropped with dropOldest, those that waited longest first, and counted', async () => {
    const { session, transport, heard, stall, peer } = await connected({
      push: { slowReader: 'dropOldest', maxPendingBytes: 10_000 },
    });
    stall();
    for (let i = 0; i < 50; i++) {
      session.push('q', size(1_000, i));
      expect(session.pendingPushBytes).toBeLessThanOrEqual(10_000);
    }
    transport.resume();
    await settled();
    const numbers = heard.map((it) => (it as { n: number }).n);
    expect(numbers).toEqual([41, 42, 43, 44, 45, 46, 47, 48, 49]);
    expect(peer.pushTally).toMatchObject({ dropped: 41, superseded: 0, disconnected: 0 });
  });

  it('are replaced with latestOnly by the last of the same pattern, or of the same key', async () => {
    const { session, transport, heard, stall, peer } = await connected({ push: { slowReader: 'latestOnly' } });
    stall();
    for (let i = 0; i < 30; i++) session.push('q', { symbol: i % 3, i }, { key: String(i % 3) });
    session.push('q', 'no key');
    session.push('q', 'no key again');
    transport.resume();
    await settled();
    expect(heard).toEqual([{ symbol: 0, i: 27 }, { symbol: 1, i: 28 }, { symbol: 2, i: 29 }, 'no key again']);
    expect(peer.pushTally).toMatchObject({ dropped: 0, superseded: 28 });
  });

  it('close the connection with disconnect, with a code, and what waited takes no room any more', async () => {
    const { session, transport, stall, peer, client, logger } = await connected({ push: { maxPendingBytes: 10_000 } });
    const { signal } = session;
    stall();
    for (let i = 0; i < 9; i++) session.push('q', size(1_000, i));
    expect(session.isOpen).toBe(true);
    session.push('q', size(1_000, 9));
    expect(session.isOpen).toBe(false);
    expect(session.pendingPushBytes).toBe(0);
    expect(() => {
      session.push('q', 1);
    }).toThrow(expect.objectContaining({ code: 'PTCP_CONNECTION_LOST' }));
    expect(peer.pushTally).toMatchObject({ dropped: 0, disconnected: 1 });
    expect(peer.logger.at('warn').join()).toMatch(
      /does not read: 9\d{3} bytes of pushes wait .*push\.maxPendingBytes \(10000\)/,
    );
    transport.resume();
    await settled();
    // It has read by now why: the goaway came behind what it had not read.
    expect(logger.at('log').join()).toMatch(/takes no new calls on a connection: .* does not read/);
    expect(client.stats()).toMatchObject({ created: 2, total: 1 });
    expect(signal.reason).toMatchObject({ code: 'PTCP_WRITE_OVERFLOW' });
    expect(peer.sessions).not.toContain(session);
  });

  it('each have their own policy where they say so: what must not be lost stays, what may goes', async () => {
    const { session, transport, heard, stall, peer } = await connected({
      push: { slowReader: 'dropOldest', maxPendingBytes: 10_000 },
    });
    stall();
    for (let i = 0; i < 5; i++) session.push('q', size(1_000, i), { slowReader: 'disconnect' });
    for (let i = 5; i < 50; i++) session.push('q', size(1_000, i));
    transport.resume();
    await settled();
    expect(heard.map((it) => (it as { n: number }).n)).toEqual([0, 1, 2, 3, 4, 46, 47, 48, 49]);
    expect(peer.pushTally).toMatchObject({ dropped: 41, disconnected: 0 });
  });

  it('do not hold up its calls: they are answered as ever', async () => {
    const { session, transport, client, peer, stall } = await connected({
      push: { slowReader: 'dropOldest', maxPendingBytes: 10_000 },
    });
    const replies = new Replies();
    client.call(message('ask'), replies, { timeoutMs: 1_000 });
    await settled();
    stall();
    for (let i = 0; i < 50; i++) session.push('q', size(1_000, i));
    const written = transport.bytesWritten;
    peer.lastCall.respond('answer');
    await settled();
    // Behind what the socket has, and before everything that waits here.
    expect(transport.bytesWritten - written).toBeLessThan(100);
    expect(session.pendingPushBytes).toBeGreaterThan(5_000);
    transport.resume();
    await settled();
    expect(replies.heard).toEqual(['next answer', 'complete']);
  });

  it('may be one that is larger than the bound, alone', async () => {
    const { session, transport, heard, stall } = await connected({ push: { maxPendingBytes: 10_000 } });
    stall();
    session.push('q', size(50_000, 1));
    expect(session.isOpen).toBe(true);
    transport.resume();
    await settled();
    expect(heard).toHaveLength(1);
  });

  it('leave nothing behind when the client goes', async () => {
    const { session, transport, stall } = await connected();
    stall();
    for (let i = 0; i < 10; i++) session.push('q', i);
    expect(session.pendingPushBytes).toBeGreaterThan(0);
    transport.fail(new Error('ECONNRESET'));
    await settled();
    expect(session.pendingPushBytes).toBe(0);
  });
});

describe('options of a push', () => {
  it.each([
    [
      { slowReader: 'latest' as 'latestOnly' },
      'PTCP_OPTION_INVALID',
      "slowReader ('latest') must be one of dropOldest, latestOnly, disconnect",
    ],
    [
      { slowReader: 'latestOnly' as const, key: 1 as unknown as string },
      'PTCP_OPTION_INVALID',
      'key (1) must be a string',
    ],
    [{ key: 'a' }, 'PTCP_OPTION_CONFLICT', 'latestOnly'],
  ])('are refused where they make no sense: %j', async (options, code, text) => {
    const { session } = await connected();
    expect(() => {
      session.push('q', 1, options);
    }).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
  });
});

describe('a push to many', () => {
  it('goes to all of them, be their codecs what they may, and is encoded once for all that take the same bytes', async () => {
    const { peer, got } = await connected({}, {}, 3);
    let encodings = 0;
    const data = {
      toJSON: () => {
        encodings += 1;
        return { price: 1 };
      },
    };
    expect(pushToMany(peer.sessions, 'q', data, {}, peer.boundedLog)).toBe(3);
    await settled();
    expect(got).toEqual([[{ price: 1 }], [{ price: 1 }], [{ price: 1 }]]);
    expect(encodings).toBe(1);
  });

  it('can be read whatever came before it on the connection, with MessagePack too', async () => {
    const { peer, got } = await connected({}, { codec: 'msgpack' }, 2);
    const quotes = Array.from({ length: 20 }, (_, i) => ({ symbol: 'ABC', price: i, at: `${i}` }));
    for (const [i, quote] of quotes.entries()) {
      if (i % 3 === 0) pushToMany(peer.sessions, 'q', quote, {}, peer.boundedLog);
      else for (const session of peer.sessions) session.push('q', quote);
    }
    await settled();
    expect(got).toEqual([quotes, quotes]);
  });

  it('leaves out a client for which it is too large, and says so', async () => {
    const { peer, got } = await connected({}, { maxFrameBytes: 2_000 }, 2);
    expect(pushToMany(peer.sessions, 'q', 'x'.repeat(5_000), {}, peer.boundedLog)).toBe(0);
    expect(pushToMany(peer.sessions, 'q', 'x', {}, peer.boundedLog)).toBe(2);
    await settled();
    expect(got).toEqual([['x'], ['x']]);
    expect(peer.logger.at('warn').filter((line) => line.includes('PTCP_FRAME_TOO_LARGE'))).toHaveLength(2);
  });

  it('throws what is wrong with the value, and reaches nobody', async () => {
    const { peer, got } = await connected({}, {}, 2);
    expect(() => pushToMany(peer.sessions, 'q', 1n, {}, peer.boundedLog)).toThrow(
      expect.objectContaining({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE' }),
    );
    await settled();
    expect(got).toEqual([[], []]);
  });
});

describe('groups', () => {
  it('are joined and left, and a session that closes leaves them by itself', async () => {
    const { peer, session, transport } = await connected({}, {}, 2);
    session.tag('a');
    session.tag('a');
    session.tag('b');
    peer.sessions[1]?.tag('a');
    expect(session.tags).toEqual(new Set(['a', 'b']));
    expect(peer.tags.membersOf('a').size).toBe(2);
    session.untag('a');
    expect(peer.tags.membersOf('a')).toEqual(new Set([peer.sessions[1]]));
    transport.fail(new Error('ECONNRESET'));
    await settled();
    expect(session.tags.size).toBe(0);
    expect(peer.tags.membersOf('b').size).toBe(0);
    expect(peer.tags.size).toBe(1);
    // A handler that has waited meanwhile.
    session.tag('late');
    expect(peer.tags.membersOf('late').size).toBe(0);
  });

  it('that are empty take no room', () => {
    const tags = new TagIndex<Session>();
    const member = {} as Session;
    for (let i = 0; i < 100; i++) {
      tags.add(member, `${i}`);
      tags.remove(member, `${i}`);
    }
    tags.remove(member, 'never');
    tags.add(member, 'kept');
    tags.forget(member);
    tags.forget(member);
    expect(tags.size).toBe(0);
  });
});
