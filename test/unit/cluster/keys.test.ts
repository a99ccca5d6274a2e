import { describe, expect, it } from '@jest/globals';
import type { Lease } from '../../../lib/pool/lease.js';
import type { FakeResource } from '../../support/fake-factory.js';
import { settled } from '../../support/step-clock.js';
import { outcomeOf } from '../pool/pool-setup.js';
import { A, B, clusterOf } from './cluster-setup.js';

const C = 'c:3';
const ALL = [A, B, C];

/** A warm cluster, and where keys go. */
async function pinned(...args: Parameters<typeof clusterOf>) {
  const all = clusterOf(...args);
  await all.cluster.warm(1_000);
  const ownerOf = (lease: Lease<FakeResource> | undefined): string | undefined =>
    ALL.find((address) => lease !== undefined && all.at(address).openResources.includes(lease.resource));
  /** The endpoint of a key; all slots must be free. */
  const homeOf = (key: string): string | undefined => {
    const lease = all.cluster.tryAcquire({ key });
    const home = ownerOf(lease);
    lease?.release();
    return home;
  };
  const keyOf = (address: string): string => {
    for (let i = 0; i < 1_000; i++) if (homeOf(`key ${i}`) === address) return `key ${i}`;
    throw new Error(`no key goes to ${address}`);
  };
  return { ...all, ownerOf, homeOf, keyOf };
}

describe('a call with a key', () => {
  it.each(['p2c', 'round-robin', 'least-in-flight', 'consistent-hash'] as const)(
    'goes to the same endpoint every time, with the balancer %s',
    async (balancer) => {
      const { homeOf, cluster } = await pinned({}, ALL, { balancer });
      const homes = Array.from({ length: 50 }, (_, i) => homeOf(`k${i}`));
      expect(new Set(homes)).toEqual(new Set(ALL));
      for (let round = 0; round < 3; round++) {
        expect(Array.from({ length: 50 }, (_, i) => homeOf(`k${i}`))).toEqual(homes);
      }
      cluster.destroy();
    },
  );

  it('waits for its endpoint when that is full, while others serve calls without one', async () => {
    const { cluster, keyOf, ownerOf, expectNothingLeft } = await pinned({}, [A, B]);
    const key = keyOf(A);
    const held = cluster.tryAcquire({ key });
    expect(cluster.tryAcquire({ key })).toBeUndefined();
    const waiter = outcomeOf(cluster.acquire({ key }));
    await settled();
    const other = cluster.tryAcquire();
    expect(ownerOf(other)).toBe(B);
    other?.release();
    await settled();
    expect(waiter.isSettled).toBe(false);
    expect(cluster.waiting).toBe(1);
    held?.release();
    await settled();
    expect(ownerOf(waiter.value)).toBe(A);
    await expectNothingLeft();
  });

  it('stands in line with those that have none, in order of arrival', async () => {
    const { cluster, keyOf, expectNothingLeft } = await pinned({}, [A, B]);
    const key = keyOf(A);
    const held = cluster.tryAcquire({ key });
    const heldB = cluster.tryAcquire();
    const first = outcomeOf(cluster.acquire({ key }));
    const second = outcomeOf(cluster.acquire({}));
    const third = outcomeOf(cluster.acquire({ key }));
    held?.release();
    await settled();
    expect([first, second, third].map(({ isSettled }) => isSettled)).toEqual([true, false, false]);
    first.value?.release();
    await settled();
    expect([second, third].map(({ isSettled }) => isSettled)).toEqual([true, false]);
    heldB?.release();
    await settled();
    expect(third.isSettled).toBe(false);
    second.value?.release();
    await settled();
    expect(third.isSettled).toBe(true);
    await expectNothingLeft();
  });

  it('gets a whole resource of its endpoint', async () => {
    const { cluster, keyOf, ownerOf, expectNothingLeft } = await pinned({ mode: 'shared' }, ALL);
    for (const address of ALL) {
      const lease = await cluster.acquire({ key: keyOf(address), whole: true });
      expect(ownerOf(lease)).toBe(address);
      lease.release();
    }
    await expectNothingLeft();
  });

  it('makes its endpoint grow when it waits there, up to its maximum', async () => {
    const { cluster, at, keyOf, expectNothingLeft } = await pinned({ max: 3 }, [A, B]);
    const key = keyOf(A);
    const leases = Array.from({ length: 4 }, () => outcomeOf(cluster.acquire({ key })));
    await settled();
    expect(leases.filter(({ isSettled }) => isSettled)).toHaveLength(3);
    expect([at(A).open, at(B).open]).toEqual([3, 1]);
    await expectNothingLeft();
  });

  it('goes to the next in its order while its endpoint is down, and returns', async () => {
    const { at, clock, homeOf, keyOf, expectNothingLeft } = await pinned({}, ALL);
    const key = keyOf(A);
    const others = Array.from({ length: 30 }, (_, i) => `k${i}`).filter((other) => homeOf(other) !== A);
    const before = others.map(homeOf);
    at(A).dialling = 'fails';
    for (const resource of at(A).openResources) resource.lose();
    const next = homeOf(key);
    expect([B, C]).toContain(next);
    expect(homeOf(key)).toBe(next);
    expect(others.map(homeOf)).toEqual(before);
    at(A).dialling = 'succeeds';
    await clock.run(1_000, 50);
    expect(homeOf(key)).toBe(A);
    await expectNothingLeft();
  });

  it('that waits moves on when its endpoint goes down, and fails only by its own deadline', async () => {
    const { cluster, at, clock, keyOf, ownerOf, expectNothingLeft } = await pinned({}, [A, B]);
    const key = keyOf(A);
    cluster.tryAcquire({ key });
    const waiter = outcomeOf(cluster.acquire({ key, timeoutMs: 900 }));
    const late = outcomeOf(cluster.acquire({ key, timeoutMs: 100 }));
    await clock.run(100);
    expect(late.error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT', elapsedMs: 100 });
    at(A).dialling = 'fails';
    for (const resource of at(A).openResources) resource.lose();
    await settled();
    expect(ownerOf(waiter.value)).toBe(B);
    await expectNothingLeft();
  });

  it('that waits moves on when its endpoint leaves the set', async () => {
    const { cluster, resolver, keyOf, ownerOf, expectNothingLeft } = await pinned({}, [A, B]);
    const key = keyOf(A);
    const held = cluster.tryAcquire({ key });
    const waiter = outcomeOf(cluster.acquire({ key }));
    resolver.listener?.update([B]);
    await settled();
    expect(ownerOf(waiter.value)).toBe(B);
    held?.release();
    await settled();
    expect(cluster.stats().map(({ address }) => address)).toEqual([B]);
    await expectNothingLeft();
  });

  it('is served while the cluster drains, and refused when it is destroyed', async () => {
    const { cluster, keyOf } = await pinned({}, [A, B]);
    const key = keyOf(A);
    const held = cluster.tryAcquire({ key });
    const waiter = outcomeOf(cluster.acquire({ key }));
    const closed = outcomeOf(cluster.close());
    await settled();
    expect(closed.isSettled).toBe(false);
    held?.release();
    await settled();
    expect(waiter.value?.state).toBe('held');
    waiter.value?.release();
    await settled();
    expect(closed).toEqual({ isSettled: true });

    const other = await pinned({}, [A, B]);
    const full = other.keyOf(B);
    other.cluster.tryAcquire({ key: full });
    const refused = outcomeOf(other.cluster.acquire({ key: full }));
    await settled();
    expect(refused.isSettled).toBe(false);
    other.cluster.destroy();
    await settled();
    expect(refused.error).toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    expect(other.clock.pending).toBe(0);
  });

  it('counts among those who may wait', async () => {
    const { cluster, keyOf, expectNothingLeft } = await pinned({ maxWaiters: 2 }, [A, B]);
    const [a, b] = [keyOf(A), keyOf(B)];
    for (const key of [a, b]) cluster.tryAcquire({ key });
    const waiters = [a, b, a].map((key) => outcomeOf(cluster.acquire({ key })));
    await settled();
    expect(waiters.map(({ error }) => error)).toEqual([
      undefined,
      undefined,
      expect.objectContaining({ code: 'PTCP_POOL_EXHAUSTED' }),
    ]);
    await expectNothingLeft();
  });
});
