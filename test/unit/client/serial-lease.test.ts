import { describe, expect, it } from '@jest/globals';
import { settled } from '../../support/step-clock.js';
import { connectedClientOf, message, Replies } from './client-setup.js';

/** A lease whose calls run one after another. */
async function serialLease() {
  const all = await connectedClientOf();
  const lease = await all.client.acquire({ isSerial: true });
  const ask = (pattern: string, options: { timeoutMs?: number; signal?: AbortSignal } = {}): Replies => {
    const replies = new Replies();
    lease.call(message(pattern), replies, { timeoutMs: 10_000, ...options });
    return replies;
  };
  const server = all.at('a:1');
  const patterns = (): unknown[] => server.calls.map(({ pattern }) => pattern);
  return { ...all, lease, ask, server, patterns };
}

describe('calls on a serial lease', () => {
  it('run one after another, in the order in which they were made, events too', async () => {
    const { ask, server, patterns, lease } = await serialLease();
    const replies = [ask('a'), ask('b')];
    const event = lease.emit(message('event'));
    replies.push(ask('c'));
    await settled();
    expect(patterns()).toEqual(['a']);
    server.lastCall.respond(1);
    await settled();
    expect(patterns()).toEqual(['a', 'b']);
    expect(server.events).toEqual([]);
    server.lastCall.fail('no');
    await settled();
    await event;
    expect(server.events).toHaveLength(1);
    expect(patterns()).toEqual(['a', 'b', 'c']);
    server.lastCall.respond(3);
    await settled();
    expect(replies.map(({ heard }) => heard[0])).toEqual(['next 1', 'handler failed no', 'next 3']);
  });

  it('share the time of a call between its turn and its reply', async () => {
    const { ask, clock, server, patterns } = await serialLease();
    ask('a');
    const late = ask('b', { timeoutMs: 500 });
    const slow = ask('c', { timeoutMs: 1_000 });
    await clock.run(500);
    expect(late.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: false });
    await clock.run(400);
    server.lastCall.respond(1);
    await settled();
    expect(patterns()).toEqual(['a', 'c']);
    await clock.run(100);
    expect(slow.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: true });
    ask('d');
    await settled();
    expect(patterns()).toEqual(['a', 'c', 'd']);
  });

  it('are not sent when their caller gives up while they wait', async () => {
    const { ask, server, patterns } = await serialLease();
    const abort = new AbortController();
    ask('a');
    const waiting = ask('b', { signal: abort.signal });
    ask('c');
    abort.abort();
    server.calls[0]?.respond(1);
    await settled();
    server.lastCall.respond(1);
    await settled();
    expect(waiting.error).toMatchObject({ code: 'PTCP_ABORTED', sent: false });
    expect(patterns()).toEqual(['a', 'c']);
  });

  it('fail unsent when the lease is released, or its connection lost, before their turn', async () => {
    const released = await serialLease();
    const [first, second] = [released.ask('a'), released.ask('b')];
    const event = released.lease.emit(message('event'));
    await settled();
    released.lease.release();
    await expect(event).rejects.toMatchObject({ code: 'PTCP_LEASE_RELEASED' });
    expect(first.error).toMatchObject({ code: 'PTCP_LEASE_RELEASED', sent: true });
    expect(second.error).toMatchObject({ code: 'PTCP_LEASE_RELEASED', sent: false });

    const lost = await serialLease();
    const [sent, unsent] = [lost.ask('a'), lost.ask('b')];
    await settled();
    lost.cut('a:1');
    await settled();
    expect(sent.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
    expect(unsent.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: false });
    const after = lost.ask('c');
    await settled();
    expect(after.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: false });
    expect(lost.patterns()).toEqual(['a']);
  });
});
