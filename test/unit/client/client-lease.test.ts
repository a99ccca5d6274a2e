import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { settled } from '../../support/step-clock.js';
import { connectedClientOf, message, Replies } from './client-setup.js';

async function leaseOf(options: Parameters<typeof connectedClientOf>[0] = {}) {
  const all = await connectedClientOf(options);
  const lease = await all.client.acquire({});
  const ask = (pattern: string, signal?: AbortSignal): Replies => {
    const replies = new Replies();
    lease.call(message(pattern), replies, { timeoutMs: 1_000, signal });
    return replies;
  };
  return { ...all, lease, ask };
}

describe('a lease', () => {
  it('sends all of its calls over one connection, which nobody else uses', async () => {
    const { at, lease, ask, client, links } = await leaseOf({ pool: { min: 2, max: 2 } });
    const replies = [ask('a'), ask('b'), ask('c')];
    for (let i = 0; i < 5; i++) client.call(message('other'), new Replies(), { timeoutMs: 1_000 });
    await settled();
    const sessions = new Map(at('a:1').calls.map(({ session, pattern }) => [pattern, session]));
    expect(sessions.get('a')).toBe(sessions.get('b'));
    expect(sessions.get('a')).toBe(sessions.get('c'));
    expect(sessions.get('other')).not.toBe(sessions.get('a'));
    for (const call of at('a:1').calls) call.respond(call.pattern);
    await settled();
    expect(replies.map(({ heard }) => heard[0])).toEqual(['next a', 'next b', 'next c']);
    expect(lease.peer).toBe('a:1');
    expect(links).toHaveLength(2);
    lease.release();
    expect(client.stats()).toMatchObject({ total: 2, inFlight: 0 });
  });

  it('never moves to another connection: its calls fail when its own is lost, unsent ones too', async () => {
    const { at, lease, ask, client } = await leaseOf({ pool: { min: 2, max: 2 } });
    const sent = ask('sent');
    await settled();
    const unsent = ask('unsent');
    const used = client.connections.find(({ inFlight }) => inFlight === 2);
    used?.destroy(new PooledTcpError('PTCP_CONNECTION_LOST', 'reset'));
    await settled();
    expect(sent.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
    expect(unsent.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: false });
    expect(ask('after').heard).toEqual(['failed PTCP_CONNECTION_LOST']);
    await settled();
    expect(at('a:1').calls).toHaveLength(1);
    expect(lease.isHeld).toBe(true);
    lease.release();
    expect(client.stats()).toMatchObject({ inFlight: 0, retries: 0, failures: 3 });
  });

  it('that is released with calls in flight cancels them at the server, and they fail', async () => {
    const { at, lease, ask, client } = await leaseOf();
    const sent = ask('sent');
    await settled();
    const { signal } = at('a:1').lastCall;
    const unsent = ask('unsent');
    lease.release();
    await settled();
    expect(sent.error).toMatchObject({ code: 'PTCP_LEASE_RELEASED', sent: true, peer: 'a:1' });
    // Its bytes leave together with its cancel: a handler may have run.
    expect(unsent.error).toMatchObject({ code: 'PTCP_LEASE_RELEASED', sent: true });
    expect(signal.aborted).toBe(true);
    expect(client.stats()).toMatchObject({ total: 1, idle: 1, inFlight: 0, failures: 2 });
    at('a:1').lastCall.respond('late');
    await settled();
    expect([sent.heard, unsent.heard]).toEqual([['failed PTCP_LEASE_RELEASED'], ['failed PTCP_LEASE_RELEASED']]);
  });

  it('says nothing to calls that were over before its release', async () => {
    const { at, lease, ask } = await leaseOf();
    const replies = ask('sum');
    await settled();
    at('a:1').lastCall.respond(3);
    await settled();
    lease.release();
    await settled();
    expect(replies.heard).toEqual(['next 3', 'complete']);
  });

  it('throws when it is used after its release', async () => {
    const { lease, ask } = await leaseOf();
    lease.release();
    const released = expect.objectContaining({ code: 'PTCP_LEASE_RELEASED' });
    expect(() => ask('late')).toThrow(released);
    expect(() => lease.peer).toThrow(released);
    expect(() => {
      lease.release();
    }).toThrow(released);
    await expect(lease.emit(message('late'))).rejects.toEqual(released);
  });

  it('that is held too long is taken back: its calls fail and its connection is destroyed', async () => {
    const { lease, ask, client, clock, links, logger } = await leaseOf({
      pool: { min: 1, max: 1, leakWarnMs: 400, leakReclaimMs: 800 },
    });
    const replies = ask('slow');
    await settled();
    await clock.run(800, 100);
    expect(replies.error).toMatchObject({ code: 'PTCP_LEASE_RECLAIMED', sent: true });
    expect(links[0]?.client.isDestroyed).toBe(true);
    expect(() => {
      lease.release();
    }).toThrow(expect.objectContaining({ code: 'PTCP_LEASE_RECLAIMED' }));
    expect(client.stats()).toMatchObject({ reclaimed: 1, inFlight: 0 });
    expect(logger.at('error')).toEqual([
      expect.stringContaining('may be leaking after 400 ms'),
      expect.stringContaining('was reclaimed after 800 ms'),
    ]);
  });

  it('sends events on its own connection', async () => {
    const { at, lease, client } = await leaseOf();
    await lease.emit(message('created', 1));
    await settled();
    expect(at('a:1').events).toEqual([{ pattern: 'created', data: 1 }]);
    expect(client.stats().inFlight).toBe(1);
    lease.release();
  });

  it('ends a call whose signal fires, and stays usable', async () => {
    const { at, lease, ask } = await leaseOf();
    const abort = new AbortController();
    const aborted = ask('slow', abort.signal);
    await settled();
    abort.abort();
    const next = ask('next');
    await settled();
    at('a:1').lastCall.respond(1);
    await settled();
    expect(aborted.heard).toEqual(['failed PTCP_ABORTED']);
    expect(next.heard).toEqual(['next 1', 'complete']);
    lease.release();
  });

  it('tells its holder when the connection is lost', async () => {
    const { lease, links, client } = await leaseOf({ pool: { min: 1, max: 1 } });
    expect(lease.signal.aborted).toBe(false);
    links[0]?.server.destroy();
    await settled();
    expect(lease.signal.reason).toMatchObject({ code: 'PTCP_CONNECTION_LOST' });
    lease.release();
    expect(client.stats().inFlight).toBe(0);
  });

  it('tells whoever listens that it was released, and nothing about the connection afterwards', async () => {
    const { lease, links } = await leaseOf({ pool: { min: 1, max: 1 } });
    lease.release();
    expect(lease.signal.reason).toMatchObject({ code: 'PTCP_LEASE_RELEASED' });
    links[0]?.server.destroy();
    await settled();
    expect(lease.signal.reason).toMatchObject({ code: 'PTCP_LEASE_RELEASED' });
  });

  it('tells its holder when the pool has taken it back', async () => {
    const { lease, clock } = await leaseOf({ pool: { min: 1, max: 1, leakWarnMs: 100, leakReclaimMs: 200 } });
    clock.advance(200);
    expect(lease.signal.reason).toMatchObject({ code: 'PTCP_LEASE_RECLAIMED' });
    expect(lease.isHeld).toBe(false);
    expect(() => {
      lease.release();
    }).toThrow(expect.objectContaining({ code: 'PTCP_LEASE_RECLAIMED' }));
  });

  it('that is released twice says so', async () => {
    const { lease } = await leaseOf();
    lease.release();
    expect(() => {
      lease.release();
    }).toThrow('the lease was released again after it had been released');
  });
});
