import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { settled } from '../../support/step-clock.js';
import { outcomeOf } from '../pool/pool-setup.js';
import { clientOf, connectedClientOf, message } from './client-setup.js';

describe('connect()', () => {
  it('opens the minimum to every endpoint; callers join, and it may be repeated', async () => {
    const { client, links, connected } = clientOf({ endpoints: ['a:1', 'b:2'], pool: { min: 2 } });
    await Promise.all([client.connect(), client.connect()]);
    expect(links.map(({ address }) => address).sort()).toEqual(['a:1', 'a:1', 'b:2', 'b:2']);
    expect(connected).toEqual([true]);
    await client.connect();
    expect(links).toHaveLength(4);
    expect(client.stats()).toMatchObject({ name: 'default', total: 4, idle: 4, connecting: 0 });
  });

  it('fails when no server can be reached, and can be repeated', async () => {
    const { client, clock, refusing } = clientOf({ pool: { prewarmTimeoutMs: 300 } });
    refusing.add('a:1');
    const first = outcomeOf(client.connect());
    await clock.run(300, 50);
    expect(first.error).toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      message: expect.stringContaining('cannot connect to a:1'),
    });
    refusing.clear();
    const second = outcomeOf(client.connect());
    await clock.run(300, 50);
    expect(second).toEqual({ isSettled: true });
  });

  it('gives a dial connectTimeoutMs, then destroys it', async () => {
    const { client, clock, at } = clientOf({ pool: { connectTimeoutMs: 200, prewarmTimeoutMs: 250 } });
    // Accepted, and never answered.
    const accept = at('a:1').accept.bind(at('a:1'));
    const ends: ReturnType<typeof accept>[] = [];
    at('a:1').accept = (address) => {
      const pair = accept(address);
      pair[1].pause();
      ends.push(pair);
      return pair;
    };
    const connecting = outcomeOf(client.connect());
    await settled();
    await clock.run(250, 50);
    expect(connecting.error).toMatchObject({ cause: { code: 'PTCP_CONNECT_TIMEOUT', peer: 'a:1' } });
    expect(ends[0]?.[0].isDestroyed).toBe(true);
    client.destroy();
    await settled();
    expect(clock.pending).toBe(0);
  });
});

describe('emit()', () => {
  it('resolves once the event has been written', async () => {
    const { client, at } = await connectedClientOf();
    await client.emit(message('created', 1));
    await settled();
    expect(at('a:1').events).toEqual([{ pattern: 'created', data: 1 }]);
    expect(client.stats().inFlight).toBe(0);
  });

  it('rejects when nothing was written: no connection, or lost before the write', async () => {
    const { client, clock, refusing } = clientOf({ pool: { acquireTimeoutMs: 200 } });
    refusing.add('a:1');
    const unreachable = outcomeOf(client.emit(message('created')));
    await clock.run(200, 50);
    expect(unreachable.error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT', sent: false });

    const { client: other } = await connectedClientOf();
    const lost = outcomeOf(other.emit(message('created')));
    other.connections[0]?.destroy(new PooledTcpError('PTCP_CONNECTION_LOST', 'reset'));
    await settled();
    expect(lost.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: false });
    expect(other.stats().inFlight).toBe(0);
  });

  it('on a connection of its own is written whole before that is closed, however large', async () => {
    const { client, at, clock } = clientOf({ pool: { mode: 'short', min: 0 } });
    await client.emit(message('created', 'x'.repeat(1_000_000)));
    await settled();
    expect(at('a:1').events).toHaveLength(1);
    expect(client.connections).toHaveLength(0);
    client.destroy();
    expect(clock.pending).toBe(0);
  });
});

describe('the server', () => {
  it('pushes to the client', async () => {
    const { client, at } = await connectedClientOf();
    const pushes: unknown[] = [];
    client.pushes.listen('quote', (data) => pushes.push(['quote', data]));
    at('a:1').sessions[0]?.push('quote', 42);
    await settled();
    expect(pushes).toEqual([['quote', 42]]);
  });

  it('that says goaway gets no new calls on that connection, and those in flight finish', async () => {
    const { at, ask, client, links } = await connectedClientOf();
    const running = ask('running');
    await settled();
    at('a:1').sessions[0]?.drain();
    await settled();
    const next = ask('next');
    await settled();
    const [first, second] = at('a:1').calls;
    expect(first?.session).not.toBe(second?.session);
    first?.respond(1);
    second?.respond(2);
    await settled();
    expect(running.replies.heard).toEqual(['next 1', 'complete']);
    expect(next.replies.heard).toEqual(['next 2', 'complete']);
    expect(links[0]?.client.isDestroyed).toBe(true);
    expect(client.stats()).toMatchObject({ total: 1, idle: 1, closed: { retired: 1 } });
  });
});

describe('close()', () => {
  it('lets calls in flight and those that wait finish, and refuses new ones', async () => {
    const { at, ask, client, clock } = await connectedClientOf({ pool: { mode: 'exclusive', min: 1, max: 1 } });
    const [running, waiting] = [ask('running'), ask('waiting')];
    await settled();
    const closed = outcomeOf(client.close());
    const refused = ask('refused');
    await settled();
    expect(refused.replies.error).toMatchObject({ code: 'PTCP_POOL_CLOSED', sent: false });
    expect(closed.isSettled).toBe(false);
    at('a:1').lastCall.respond(1);
    await settled();
    at('a:1').lastCall.respond(2);
    await settled();
    expect(running.replies.heard).toEqual(['next 1', 'complete']);
    expect(waiting.replies.heard).toEqual(['next 2', 'complete']);
    expect(closed).toEqual({ isSettled: true });
    expect(client.connections).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });

  it('destroys what is left after drainTimeoutMs, and says so', async () => {
    const { ask, client, clock, logger } = await connectedClientOf({ drainTimeoutMs: 700 });
    const stuck = ask('stuck');
    await settled();
    const closed = outcomeOf(client.close());
    await clock.run(699);
    expect(closed.isSettled).toBe(false);
    await clock.run(1);
    expect(closed).toEqual({ isSettled: true });
    expect(stuck.replies.error).toMatchObject({ code: 'PTCP_POOL_CLOSED', sent: true });
    expect(logger.at('warn')).toEqual([expect.stringContaining('1 calls in flight and 0 waiting after 700 ms')]);
    expect(clock.pending).toBe(0);
  });

  it('is joined by later callers, and harmless after destroy() and before connect()', async () => {
    const { client, links } = clientOf();
    await Promise.all([client.close(), client.close()]);
    expect(links).toHaveLength(0);
    const { client: other } = await connectedClientOf();
    other.destroy();
    await other.close();
    await other.close();
  });
});

describe('destroy()', () => {
  it('fails calls in flight and calls that wait, with the reason, and closes every connection', async () => {
    const { ask, client, clock, links, connected } = await connectedClientOf({
      pool: { mode: 'exclusive', min: 1, max: 1 },
    });
    const [running, waiting] = [ask('running'), ask('waiting')];
    await settled();
    client.destroy(new PooledTcpError('PTCP_POOL_CLOSED', 'out of order'));
    await settled();
    expect(running.replies.error).toMatchObject({
      code: 'PTCP_POOL_CLOSED',
      sent: true,
      message: expect.stringContaining('out of order'),
    });
    expect(waiting.replies.error).toMatchObject({ code: 'PTCP_POOL_CLOSED', sent: false });
    expect(links.every(({ client: transport }) => transport.isDestroyed)).toBe(true);
    expect(connected).toEqual([true, false]);
    expect(client.stats()).toMatchObject({ total: 0, inFlight: 0, waiting: 0 });
    expect(clock.pending).toBe(0);
  });

  it('opens no connection for those it closes, and warns of none', async () => {
    const { client, links, logger } = await connectedClientOf({ pool: { min: 2 } });
    client.destroy();
    await settled();
    expect(links).toHaveLength(2);
    expect(client.stats()).toMatchObject({ created: 2, dialFailures: 0, closed: { lost: 0, shutdown: 2 } });
    expect(logger.at('warn')).toEqual([]);
  });

  it('takes back dials under way', async () => {
    const { client, clock, hanging } = clientOf();
    hanging.add('a:1');
    client.warmInBackground();
    await settled();
    expect(client.stats().connecting).toBe(1);
    client.destroy();
    await settled();
    expect(client.stats()).toMatchObject({ connecting: 0, dialFailures: 0 });
    expect(clock.pending).toBe(0);
  });
});
