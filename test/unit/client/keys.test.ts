import { describe, expect, it } from '@jest/globals';
import type { PooledTcpClientOptions } from '../../../lib/client/settings.js';
import { settled } from '../../support/step-clock.js';
import { connectedClientOf } from './client-setup.js';

const ALL = ['a:1', 'b:2', 'c:3'];

/** A client of three servers that answer each call with their address, unless a test says otherwise. */
async function threeOf(options: PooledTcpClientOptions = {}) {
  const all = await connectedClientOf({
    endpoints: ALL,
    // A connection that is to be validated first serves nobody at once: whose turn it is would be left to chance.
    pool: { validateAfterIdleMs: 60_000 },
    ...options,
  });
  for (const address of ALL) {
    all.at(address).onCall = (call) => {
      call.respond(address);
    };
  }
  /** Where a call ends up, or with what it fails. */
  const served = async (callOptions: Parameters<typeof all.ask>[1] = {}): Promise<string> => {
    const { replies } = all.ask('where', callOptions);
    await settled();
    return replies.heard[0]?.replace('next ', '') ?? 'nowhere';
  };
  const ejected = (): string[] =>
    all.client
      .stats()
      .endpoints.filter(({ ejectedUntil }) => ejectedUntil !== null)
      .map(({ address }) => address);
  const callsAt = (address: string): number => all.at(address).calls.length;
  return { ...all, served, ejected, callsAt };
}

describe('a key', () => {
  it('brings requests and leases to one server', async () => {
    const { client, served } = await threeOf();
    for (const key of ['k1', 'k2', 'k3', 'k4', 'k5', 'k6']) {
      const home = await served({ key });
      for (let i = 0; i < 5; i++) expect(await served({ key })).toBe(home);
      const lease = await client.acquire({ key });
      expect(lease.peer).toBe(home);
      lease.release();
    }
  });

  it('spreads over all servers', async () => {
    const { served } = await threeOf();
    const homes = new Set<string>();
    for (let i = 0; i < 40; i++) homes.add(await served({ key: `k${i}` }));
    expect([...homes].sort()).toEqual(ALL);
  });

  it('moves to one other server while its own is gone, and back when it returns', async () => {
    const { client, clock, served, cut, refusing } = await threeOf({ ejection: false });
    const keys = Array.from({ length: 24 }, (_, i) => `k${i}`);
    const homes = new Map<string, string>();
    for (const key of keys) homes.set(key, await served({ key }));
    refusing.add('a:1');
    cut('a:1');
    await settled();
    for (const key of keys) {
      const now = await served({ key });
      const home = homes.get(key);
      if (home === 'a:1') {
        expect(now).not.toBe('a:1');
        expect(await served({ key })).toBe(now);
        const lease = await client.acquire({ key });
        expect(lease.peer).toBe(now);
        lease.release();
      } else expect(now).toBe(home);
    }
    refusing.clear();
    await clock.run(5_000, 10);
    for (const key of keys) expect(await served({ key })).toBe(homes.get(key));
    client.destroy();
  });
});

describe('an endpoint whose calls go on failing', () => {
  const ejection = { failures: 3, baseMs: 1_000, maxMs: 10_000 };
  const balancer = 'round-robin';

  it('by refusing them is ejected, and the others take over without a failed call', async () => {
    const { at, client, served, ejected, callsAt } = await threeOf({ ejection, balancer });
    at('a:1').onCall = (call) => {
      call.refuse('overloaded', 'full');
    };
    for (let i = 0; i < 30; i++) expect(['b:2', 'c:3']).toContain(await served());
    expect(ejected()).toEqual(['a:1']);
    expect(callsAt('a:1')).toBe(3);
    expect(client.stats()).toMatchObject({ failures: 0, retries: 3 });
  });

  it('by not answering in time is ejected', async () => {
    const { at, ask, clock, client, served, ejected, callsAt } = await threeOf({ ejection, balancer });
    at('a:1').onCall = undefined;
    const late = [];
    while (callsAt('a:1') < 3) {
      late.push(ask('where', { timeoutMs: 100 }));
      await settled();
    }
    expect(ejected()).toEqual([]);
    await clock.run(100);
    expect(ejected()).toEqual(['a:1']);
    expect(late.filter(({ replies }) => replies.error?.code === 'PTCP_REQUEST_TIMEOUT')).toHaveLength(3);
    for (let i = 0; i < 30; i++) expect(['b:2', 'c:3']).toContain(await served());
    expect(client.stats().failures).toBe(3);
  });

  it('is not ejected for what its handlers throw, or for calls that the caller gave up', async () => {
    const { at, ask, served, ejected, callsAt } = await threeOf({ ejection, balancer });
    for (const address of ALL)
      at(address).onCall = (call) => {
        call.fail('no such order');
      };
    for (let i = 0; i < 30; i++) await served();
    expect(callsAt('a:1')).toBe(10);
    for (const address of ALL) at(address).onCall = undefined;
    const given = Array.from({ length: 30 }, () => ask('where'));
    await settled();
    for (const { call } of given) call.cancel();
    expect(ejected()).toEqual([]);
  });

  it('is tested by one call when its time is over, and comes back if that is answered', async () => {
    const { at, clock, ask, served, ejected, callsAt } = await threeOf({ ejection, balancer });
    at('a:1').onCall = (call) => {
      call.refuse('overloaded', 'full');
    };
    for (let i = 0; i < 9; i++) await served();
    expect(ejected()).toEqual(['a:1']);
    const before = callsAt('a:1');
    at('a:1').onCall = undefined;
    await clock.run(1_000, 50);
    const asked = Array.from({ length: 30 }, () => ask('where'));
    await settled();
    expect(callsAt('a:1')).toBe(before + 1);
    expect(asked.filter(({ replies }) => replies.heard.length === 0)).toHaveLength(1);
    at('a:1').lastCall.respond('a:1');
    await settled();
    at('a:1').onCall = (call) => {
      call.respond('a:1');
    };
    const homes = new Set<string>();
    for (let i = 0; i < 9; i++) homes.add(await served());
    expect([...homes].sort()).toEqual(ALL);
  });

  it('is ejected for longer when the call that tests it fails', async () => {
    const { at, clock, served, ejected, callsAt } = await threeOf({ ejection, balancer });
    at('a:1').onCall = (call) => {
      call.refuse('overloaded', 'full');
    };
    for (let i = 0; i < 9; i++) await served();
    await clock.run(1_000, 50);
    const before = callsAt('a:1');
    for (let i = 0; i < 9; i++) expect(['b:2', 'c:3']).toContain(await served());
    expect(callsAt('a:1')).toBe(before + 1);
    expect(ejected()).toEqual(['a:1']);
    await clock.run(1_500, 50);
    for (let i = 0; i < 9; i++) await served();
    expect(callsAt('a:1')).toBe(before + 1);
    await clock.run(500, 50);
    for (let i = 0; i < 9; i++) await served();
    expect(callsAt('a:1')).toBe(before + 2);
  });
});
