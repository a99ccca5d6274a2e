import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { HeldBytes } from '../../support/held-bytes.js';
import { settled } from '../../support/step-clock.js';
import { HandSource, linkedClient, Puller } from '../client/stream-setup.js';

const LARGE = 'l'.repeat(600_000);
const event = (data: unknown) => ({ pattern: 'e', route: 'e', data, metadata: undefined });

/** Lets a large message through: each fragment is a round trip, of a few turns. */
async function delivered(isDone: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !isDone(); i++) await settled();
  expect(isDone()).toBe(true);
}

describe('large items among small ones', () => {
  const values = Array.from({ length: 12 }, (_, i) => (i % 3 === 1 ? `${i}${'x'.repeat(150_000 * (i % 4))}` : `${i}`));

  it.each(['end', 'response', 'failure'])('come in order, and before the %s', async (ending) => {
    const { peer, call, end } = await linkedClient();
    const consumer = call('count', {}, new Puller(false));
    await settled();
    for (const value of values) peer.lastCall.item(value);
    if (ending === 'end') peer.lastCall.complete();
    else if (ending === 'response') peer.lastCall.respond('last');
    else peer.lastCall.fail('broken');
    await delivered(() => consumer.outcome !== undefined);
    expect(consumer.items).toEqual(ending === 'response' ? [...values, 'last'] : values);
    expect(consumer.outcome).toBe(ending === 'failure' ? 'handler failed broken' : 'complete');
    expect(peer.inFlight).toBe(0);
    await end();
  });

  it('come in order to the server, too', async () => {
    const { peer, call, end } = await linkedClient();
    const source = new HandSource();
    const upload = call('import', { upload: source }, new Puller(false));
    await settled();
    for (const value of values) source.sink.item(value);
    source.sink.complete();
    const received: unknown[] = [];
    void (async () => {
      for await (const item of peer.lastCall.incoming ?? []) received.push(item);
      peer.lastCall.respond('thanks');
    })();
    await delivered(() => upload.outcome === 'complete');
    expect(received).toEqual(values);
    await end();
  });
});

describe('a large request that is kept back', () => {
  it('has not been sent when the connection is lost, and goes to another', async () => {
    const { clock, client, peer, call, links, end } = await linkedClient();
    links[0]?.server.pause();
    const caller = call('put', { data: LARGE, timeoutMs: 5_000 });
    const small = call('get', { timeoutMs: 5_000 });
    await settled();
    expect(peer.calls.map(({ pattern }) => pattern)).toEqual(['get']);
    links[0]?.client.fail(new Error('ECONNRESET'));
    // The next dial may wait: this one died before it had answered anything.
    await settled();
    await clock.run(1_000);
    await delivered(() => peer.calls.length === 2);
    expect(small.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
    expect(peer.lastCall.data === LARGE).toBe(true);
    peer.lastCall.respond('stored');
    await settled();
    expect(caller.items).toEqual(['stored']);
    expect(client.stats()).toMatchObject({ retries: 1 });
    await end();
  });

  it('is sent when all of it has left', async () => {
    const { peer, call, links, end } = await linkedClient();
    const caller = call('put', { data: LARGE, timeoutMs: 5_000 });
    await delivered(() => peer.calls.length === 1);
    links[0]?.client.fail(new Error('ECONNRESET'));
    await settled();
    expect(caller.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
    await end();
  });

  it.each(['aborted', 'out of time'])('says that no handler has heard of it when it is %s', async (how) => {
    const { clock, peer, call, links, end } = await linkedClient();
    links[0]?.server.pause();
    const abort = new AbortController();
    const caller = call('put', { data: LARGE, timeoutMs: 500, signal: abort.signal });
    await settled();
    if (how === 'aborted') abort.abort();
    else await clock.run(500);
    expect(caller.error?.sent).toBe(false);
    links[0]?.server.resume();
    const next = call('get');
    await delivered(() => peer.calls.length === 1);
    expect(peer.lastCall.pattern).toBe('get');
    peer.lastCall.respond(1);
    await settled();
    expect(next.outcome).toBe('complete');
    await end();
  });
});

describe('a large item of an upload that is kept back', () => {
  it('does not make the request unsent: its handler is at work', async () => {
    const { peer, call, links, end } = await linkedClient();
    const source = new HandSource();
    const upload = call('import', { upload: source, timeoutMs: 5_000 }, new Puller(false));
    await settled();
    links[0]?.server.pause();
    source.sink.item(LARGE);
    await settled();
    expect(peer.calls).toHaveLength(1);
    links[0]?.client.fail(new Error('ECONNRESET'));
    await settled();
    expect(upload.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
    expect(source.stops).toBe(1);
    await end();
  });

  it('is called off with the call', async () => {
    const { peer, call, links, end } = await linkedClient();
    const source = new HandSource();
    const abort = new AbortController();
    const upload = call('import', { upload: source, signal: abort.signal }, new Puller(false));
    await settled();
    links[0]?.server.pause();
    source.sink.item(LARGE);
    await settled();
    abort.abort();
    expect(upload.error).toMatchObject({ code: 'PTCP_ABORTED', sent: true });
    links[0]?.server.resume();
    const next = call('get');
    await delivered(() => peer.calls.length === 2);
    expect(peer.inFlight).toBe(1);
    peer.lastCall.respond(1);
    await settled();
    expect(next.outcome).toBe('complete');
    await end();
  });
});

describe('a large event', () => {
  it('has been emitted when all of it was written, and not before', async () => {
    const { client, peer, links, end } = await linkedClient();
    links[0]?.server.pause();
    let isEmitted = false;
    const emitting = client.emit(event(LARGE)).then(() => (isEmitted = true));
    await settled();
    expect(isEmitted).toBe(false);
    links[0]?.server.resume();
    await delivered(() => isEmitted);
    await emitting;
    await delivered(() => peer.events.length === 1);
    expect(peer.events[0]?.data === LARGE).toBe(true);
    await end();
  });

  it('was not emitted when the connection is lost before', async () => {
    const { client, peer, links, end } = await linkedClient();
    links[0]?.server.pause();
    const emitting = expect(client.emit(event(LARGE))).rejects.toMatchObject({
      code: 'PTCP_CONNECTION_LOST',
      sent: false,
    });
    await settled();
    links[0]?.client.fail(new Error('ECONNRESET'));
    await emitting;
    expect(peer.events).toEqual([]);
    await end();
  });

  it('is waited for by close()', async () => {
    const { clock, client, peer } = await linkedClient();
    const emitting = Promise.all([client.emit(event(LARGE)), client.emit(event(`${LARGE}2`)), client.emit(event(3))]);
    const closing = client.close();
    await delivered(() => peer.sessions.length === 0);
    await Promise.all([emitting, closing]);
    expect(peer.events.map(({ data }) => String(data).length)).toEqual([1, LARGE.length, LARGE.length + 1]);
    expect(clock.pending).toBe(0);
  });

  it('leaves with close() of its connection, which waits for nothing that the peer says', async () => {
    const { client, peer, links } = await linkedClient();
    links[0]?.server.pause();
    const [connection] = client.connections;
    const emitting = Promise.allSettled([connection?.emit(event(LARGE))]);
    await settled();
    connection?.close();
    await settled();
    await emitting;
    expect(peer.events.map(({ data }) => data === LARGE)).toEqual([true]);
    client.destroy();
    await settled();
  });
});

describe('a large reply', () => {
  it('is not lost when the server drains while it is under way', async () => {
    const { client, peer, call, end } = await linkedClient();
    const callers = [1, 2, 3].map(() => call('get', { timeoutMs: 5_000 }));
    await settled();
    for (const arrived of peer.calls) arrived.respond(LARGE);
    const [session] = peer.sessions;
    session?.drain();
    await delivered(() => callers.every(({ outcome }) => outcome !== undefined));
    expect(callers.map(({ items }) => items[0] === LARGE)).toEqual([true, true, true]);
    await delivered(() => session !== undefined && !peer.sessions.includes(session));
    expect(client.stats()).toMatchObject({ failures: 0, inFlight: 0 });
    await end();
  });

  it('is called off when its caller gives up, although the handler has answered', async () => {
    const { peer, call, links, end } = await linkedClient();
    const caller = call('get', { timeoutMs: 5_000 });
    const other = call('get', { timeoutMs: 5_000 });
    await settled();
    links[0]?.client.pause();
    for (const arrived of peer.calls) arrived.respond(LARGE);
    await settled();
    const before = links[0]?.server.bytesWritten ?? 0;
    caller.call?.cancel();
    links[0]?.client.resume();
    await delivered(() => other.outcome === 'complete');
    expect(other.items[0] === LARGE).toBe(true);
    // The other one, and of the first what acknowledgements let through that the cancel came behind.
    expect((links[0]?.server.bytesWritten ?? 0) - before).toBeLessThan(LARGE.length * 1.5);
    expect(peer.inFlight).toBe(0);
    await end();
  });
});

describe('a stream whose handler is done, and whose items wait for credit', () => {
  async function ending(server: Parameters<typeof linkedClient>[0] = {}) {
    const watch = new HeldBytes();
    const setup = await linkedClient({ client: { streamWindowBytes: 1_024 }, ...server });
    const consumer = setup.call('count', { timeoutMs: 500 });
    await settled();
    for (let i = 0; i < 10; i++) setup.peer.lastCall.item(`${i}${'x'.repeat(999)}`);
    setup.peer.lastCall.respond('last');
    await settled();
    expect(consumer.items).toHaveLength(2);
    expect(setup.peer.inFlight).toBe(1);
    expect(watch.total).toBeGreaterThan(8_000);
    const over = async (): Promise<void> => {
      await setup.end();
      expect(watch.total).toBe(0);
      watch.restore();
      expect(setup.peer.inFlight).toBe(0);
      expect(setup.clock.pending).toBe(0);
    };
    return { ...setup, consumer, watch, over };
  }

  it('delivers them as they are taken, then its end', async () => {
    const { consumer, peer, watch, over } = await ending();
    for (let i = 0; i < 20 && consumer.outcome === undefined; i++) {
      consumer.take();
      await settled();
    }
    expect(consumer.items).toHaveLength(11);
    expect(consumer.items.at(-1)).toBe('last');
    expect(consumer.outcome).toBe('complete');
    expect(peer.inFlight).toBe(0);
    expect(watch.total).toBe(0);
    await over();
  });

  it('drops them when the caller cancels', async () => {
    const { consumer, peer, watch, over } = await ending();
    const { signal } = peer.lastCall;
    consumer.call?.cancel();
    await settled();
    expect(signal.aborted).toBe(true);
    expect(peer.inFlight).toBe(0);
    expect(watch.total).toBe(0);
    await over();
  });

  it('drops them when the connection is lost', async () => {
    const { consumer, links, watch, over } = await ending();
    links[0]?.server.fail(new Error('ECONNRESET'));
    await settled();
    expect(consumer.outcome).toBe('PTCP_CONNECTION_LOST');
    expect(watch.total).toBe(0);
    await over();
  });

  it('is waited for when the server drains, and dropped when it is destroyed', async () => {
    const { consumer, peer, watch, over } = await ending();
    const [session] = peer.sessions;
    session?.drain();
    expect(session?.inFlight).toBe(1);
    consumer.take();
    await settled();
    expect(consumer.items.length).toBeGreaterThan(2);
    session?.destroy(new PooledTcpError('PTCP_POOL_CLOSED', 'the server is closed'));
    await settled();
    expect(watch.total).toBe(0);
    expect(consumer.outcome).toBe('PTCP_CONNECTION_LOST');
    await over();
  });

  it('does not fail the connection when a large one moves on while the last of the room is taken', async () => {
    const watch = new HeldBytes();
    const { peer, call, client, links, end } = await linkedClient({
      client: { streamWindowBytes: 1_024, maxPendingWriteBytes: 10_000_000 },
      server: { maxPendingWriteBytes: 1_000_000 },
    });
    const consumer = call('count', { timeoutMs: 5_000 });
    const other = call('other', { timeoutMs: 5_000 });
    await settled();
    const [count, another] = peer.calls;
    count?.item('x'.repeat(2_000));
    count?.item('y'.repeat(900_000));
    await settled();
    // Less than a fragmented message, so it is not kept back, but waits in the socket.
    links[0]?.server.pause();
    another?.item('z'.repeat(100_000));
    await settled();
    consumer.take();
    await settled();
    links[0]?.server.resume();
    await delivered(() => consumer.items.length === 2);
    expect(other.items).toHaveLength(1);
    expect(client.stats()).toMatchObject({ total: 1, inFlight: 2 });
    await end();
    expect(watch.total).toBe(0);
    watch.restore();
  });
});
