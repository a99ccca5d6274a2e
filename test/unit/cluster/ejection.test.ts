import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { EjectionSettings } from '../../../lib/cluster/ejection.js';
import type { Lease } from '../../../lib/pool/lease.js';
import type { FakeResource } from '../../support/fake-factory.js';
import { settled } from '../../support/step-clock.js';
import { outcomeOf } from '../pool/pool-setup.js';
import { A, B, clusterOf } from './cluster-setup.js';

const C = 'c:3';
const D = 'd:4';
const SETTINGS: EjectionSettings = { failures: 5, baseMs: 30_000, maxMs: 300_000, maxShare: 0.5 };

afterEach(() => {
  jest.restoreAllMocks();
});

async function ejecting(
  addresses: readonly string[] = [A, B, C],
  settings: Partial<EjectionSettings> = {},
  pool: Parameters<typeof clusterOf>[0] = {},
) {
  const all = clusterOf({ mode: 'shared', ...pool }, addresses, {
    ejection: { ...SETTINGS, ...settings },
    // Without chance, ejections are not shortened.
    random: () => 0,
  });
  await all.cluster.warm(1_000);
  const ownerOf = (lease: Lease<FakeResource> | undefined): string | undefined =>
    addresses.find((address) => lease !== undefined && all.at(address).openResources.includes(lease.resource));
  const resourceOf = (address: string): FakeResource => {
    const [resource] = all.at(address).openResources;
    if (resource === undefined) throw new Error(`${address} has no connection`);
    return resource;
  };
  const fail = (address: string, times: number): void => {
    for (let i = 0; i < times; i++)
      all.cluster.report(resourceOf(address), 'late', 0, 10_000, 'no reply within 10000 ms');
  };
  /** Who serves so many calls that come one after the other. */
  const served = (calls = 12): Set<string | undefined> => {
    const by = new Set<string | undefined>();
    for (let i = 0; i < calls; i++) {
      const lease = all.cluster.tryAcquire();
      by.add(ownerOf(lease));
      lease?.release();
    }
    return by;
  };
  const ejected = (): string[] =>
    all.cluster
      .stats()
      .filter(({ ejectedUntil }) => ejectedUntil !== null)
      .map(({ address }) => address);
  return { ...all, ownerOf, resourceOf, fail, served, ejected };
}

describe('an endpoint that fails again and again', () => {
  it('is ejected after so many failures in a row, and says until when', async () => {
    jest.spyOn(Date, 'now').mockReturnValue(1_700_000_000_000);
    const { cluster, fail, served, ejected, logger, expectNothingLeft } = await ejecting();
    fail(A, 4);
    expect(served()).toEqual(new Set([A, B, C]));
    fail(A, 1);
    expect(served()).toEqual(new Set([B, C]));
    expect(ejected()).toEqual([A]);
    expect(cluster.stats()[0]?.ejectedUntil).toBe(1_700_000_030_000);
    expect(logger.at('warn')).toEqual([
      "pool 'orders': a:1 is ejected for 30.0 s after 5 failures in a row, the last: no reply within 10000 ms; 1 of 3 endpoints are out",
    ]);
    await expectNothingLeft();
  });

  it('is forgiven by one answer in between', async () => {
    const { cluster, clock, fail, resourceOf, ejected } = await ejecting();
    fail(A, 4);
    cluster.report(resourceOf(A), 'answered', clock.now() - 1, clock.now());
    fail(A, 4);
    expect(ejected()).toEqual([]);
    cluster.destroy();
  });

  it('is not ejected by calls that say nothing about it', async () => {
    const { cluster, clock, resourceOf, ejected } = await ejecting();
    for (let i = 0; i < 20; i++) cluster.report(resourceOf(A), 'void', clock.now() - 1, clock.now());
    expect(ejected()).toEqual([]);
    cluster.destroy();
  });

  it('is not ejected by one connection that fails many calls at once', async () => {
    const { cluster, clock, resourceOf, ejected } = await ejecting(undefined, {}, { min: 5, max: 5 });
    const lost = resourceOf(A);
    for (let i = 0; i < 100; i++) cluster.report(lost, 'lost', clock.now() - 1, clock.now());
    expect(ejected()).toEqual([]);
    cluster.destroy();
  });

  it('is ejected when connection after connection is lost under calls', async () => {
    const { cluster, clock, at, ejected } = await ejecting(undefined, {}, { min: 6, max: 6 });
    for (const resource of at(A).openResources.slice(0, 5))
      cluster.report(resource, 'lost', clock.now() - 1, clock.now());
    expect(ejected()).toEqual([A]);
    cluster.destroy();
  });

  it('is never ejected where ejection is off', async () => {
    const { cluster, clock, at } = clusterOf({}, [A, B]);
    await cluster.warm(1_000);
    for (let i = 0; i < 50; i++)
      for (const resource of at(A).openResources) cluster.report(resource, 'refused', clock.now() - 1, clock.now());
    expect(cluster.stats().map(({ ejectedUntil }) => ejectedUntil)).toEqual([null, null]);
    cluster.destroy();
  });

  it('gets none of those who wait, even if it has free slots', async () => {
    const { cluster, fail, ownerOf, expectNothingLeft } = await ejecting([A, B], {}, { mode: 'exclusive' });
    fail(A, 5);
    const held = cluster.tryAcquire();
    expect(ownerOf(held)).toBe(B);
    const waiter = outcomeOf(cluster.acquire({}));
    await settled();
    expect(waiter.isSettled).toBe(false);
    held?.release();
    await settled();
    expect(ownerOf(waiter.value)).toBe(B);
    await expectNothingLeft();
  });
});

describe('the way back', () => {
  it('is a single call, and the rest follow once it was answered', async () => {
    const { cluster, clock, fail, served, ownerOf, resourceOf, logger, expectNothingLeft } = await ejecting();
    fail(A, 5);
    await clock.run(29_999);
    expect(served()).toEqual(new Set([B, C]));
    await clock.run(1);
    const leases = Array.from({ length: 30 }, () => cluster.tryAcquire());
    expect(leases.filter((lease) => ownerOf(lease) === A)).toHaveLength(1);
    cluster.report(resourceOf(A), 'answered', clock.now() - 1, clock.now());
    for (const lease of leases) lease?.release();
    expect(served()).toEqual(new Set([A, B, C]));
    expect(logger.at('log')).toEqual(["pool 'orders': a:1 answers again and is back (ejections so far: 1)"]);
    await expectNothingLeft();
  });

  it('is closed again for longer and longer when that call fails, up to maxMs', async () => {
    const { cluster, clock, fail, served, ejected } = await ejecting(undefined, { maxMs: 70_000 });
    fail(A, 5);
    for (const outMs of [30_000, 60_000, 70_000, 70_000]) {
      await clock.run(outMs - 1);
      expect(ejected()).toEqual([A]);
      await clock.run(1);
      expect(ejected()).toEqual([]);
      expect(served()).toContain(A);
      fail(A, 1);
      expect(ejected()).toEqual([A]);
    }
    cluster.destroy();
  });

  it('is open to another call when the first says nothing, or nothing for long', async () => {
    const { cluster, clock, fail, served, resourceOf } = await ejecting();
    fail(A, 5);
    await clock.run(30_000);
    expect(served()).toContain(A);
    expect(served()).not.toContain(A);
    cluster.report(resourceOf(A), 'void', clock.now() - 1, clock.now());
    expect(served()).toContain(A);
    expect(served()).not.toContain(A);
    await clock.run(30_000);
    expect(served()).toContain(A);
    cluster.destroy();
  });

  it('serves one of those who wait, and not all, when its time comes', async () => {
    const { cluster, clock, fail, ownerOf, expectNothingLeft } = await ejecting(
      [A, B],
      {},
      { mode: 'exclusive', min: 3, max: 3, acquireTimeoutMs: 60_000 },
    );
    fail(A, 5);
    for (let i = 0; i < 3; i++) cluster.tryAcquire();
    const waiters = Array.from({ length: 3 }, () => outcomeOf(cluster.acquire({})));
    await clock.run(30_000);
    expect(waiters.map(({ value }) => (value === undefined ? undefined : ownerOf(value)))).toEqual([
      A,
      undefined,
      undefined,
    ]);
    await expectNothingLeft();
  });

  it('forgets one ejection for each baseMs of good conduct', async () => {
    const { cluster, clock, fail, served, resourceOf, ejected } = await ejecting();
    fail(A, 5);
    await clock.run(30_000);
    served();
    fail(A, 1);
    await clock.run(60_000);
    served();
    cluster.report(resourceOf(A), 'answered', clock.now() - 1, clock.now());
    await clock.run(60_000);
    fail(A, 5);
    await clock.run(29_999);
    expect(ejected()).toEqual([A]);
    await clock.run(1);
    expect(ejected()).toEqual([]);
    cluster.destroy();
  });

  it('opens at once when it has lost all connections and is up again', async () => {
    const { cluster, at, clock, fail, ejected, served } = await ejecting();
    fail(A, 5);
    at(A).dialling = 'fails';
    for (const resource of at(A).openResources) resource.lose();
    await clock.run(200, 50);
    expect(ejected()).toEqual([A]);
    at(A).dialling = 'succeeds';
    await clock.run(1_000, 50);
    expect(ejected()).toEqual([]);
    expect(served()).toContain(A);
    cluster.destroy();
  });
});

describe('never too many', () => {
  it.each([
    [[A], 0],
    [[A, B], 1],
    [[A, B, C], 1],
    [[A, B, C, D], 2],
  ])('of %j at most %d are ejected, and all calls are served', async (addresses, most) => {
    const { cluster, fail, ejected, served } = await ejecting(addresses);
    for (const address of addresses) fail(address, 20);
    expect(ejected()).toHaveLength(most);
    expect(served()).toEqual(new Set(addresses.filter((address) => !ejected().includes(address))));
    cluster.destroy();
  });

  it('those that cannot be dialled count among them', async () => {
    const { cluster, at, fail, ejected, served } = await ejecting([A, B, C]);
    at(A).dialling = 'fails';
    for (const resource of at(A).openResources) resource.lose();
    fail(B, 20);
    expect(ejected()).toEqual([]);
    expect(served()).toEqual(new Set([B, C]));
    cluster.destroy();
  });

  it('an ejected one serves where all others are down', async () => {
    const { cluster, at, fail, ejected, served } = await ejecting([A, B]);
    fail(A, 5);
    at(B).dialling = 'fails';
    for (const resource of at(B).openResources) resource.lose();
    expect(ejected()).toEqual([A]);
    expect(served()).toEqual(new Set([A]));
    cluster.destroy();
  });

  it('those come back first whose time is over first when the set shrinks', async () => {
    const { resolver, clock, fail, ejected, expectNothingLeft } = await ejecting([A, B, C, D]);
    let now = 1_700_000_000_000;
    jest.spyOn(Date, 'now').mockImplementation(() => now);
    fail(B, 5);
    now += 1_000;
    await clock.run(1_000);
    fail(A, 5);
    expect(ejected()).toEqual([A, B]);
    resolver.listener?.update([A, B, C]);
    expect(ejected()).toEqual([A]);
    resolver.listener?.update([A]);
    expect(ejected()).toEqual([]);
    await expectNothingLeft();
  });
});

describe('priorities', () => {
  const at = (host: string, priority: number) => ({ host, port: 1, priority });

  it('those of the next get calls only while none of the first can', async () => {
    const { cluster, at: factory, clock } = clusterOf({ mode: 'shared' }, [at('a', 0), at('b', 1), at('c', 1)]);
    await cluster.warm(1_000);
    const servedBy = (): number[] => cluster.stats().map(({ acquired }) => acquired);
    const call = (times: number): void => {
      for (let i = 0; i < times; i++) cluster.tryAcquire()?.release();
    };
    call(10);
    expect(servedBy()).toEqual([10, 0, 0]);
    factory('a:1').dialling = 'fails';
    for (const resource of factory('a:1').openResources) resource.lose();
    call(10);
    expect(servedBy()).toEqual([10, 5, 5]);
    factory('a:1').dialling = 'succeeds';
    await clock.run(1_000, 50);
    call(10);
    expect(servedBy()).toEqual([20, 5, 5]);
    cluster.destroy();
  });

  it('one that is full is not passed over: its callers wait', async () => {
    const { cluster, at: factory, expectNothingLeft } = clusterOf({}, [at('a', 0), at('b', 1)]);
    await cluster.warm(1_000);
    const held = cluster.tryAcquire();
    expect(cluster.tryAcquire()).toBeUndefined();
    const waiter = outcomeOf(cluster.acquire({}));
    await settled();
    expect(waiter.isSettled).toBe(false);
    held?.release();
    await settled();
    expect(factory('a:1').openResources).toContain(waiter.value?.resource);
    await expectNothingLeft();
  });

  it('and weights may change while it runs', async () => {
    const { cluster, resolver } = clusterOf({ mode: 'shared' }, [at('a', 0), at('b', 1)], { balancer: 'round-robin' });
    await cluster.warm(1_000);
    resolver.listener?.update([
      { ...at('a', 1), weight: 1 },
      { ...at('b', 1), weight: 3 },
    ]);
    for (let i = 0; i < 40; i++) cluster.tryAcquire()?.release();
    expect(cluster.stats().map(({ acquired }) => acquired)).toEqual([10, 30]);
    cluster.destroy();
  });
});

describe('an endpoint that has no connection', () => {
  it('is opened by the first call that would have gone there, which is served elsewhere', async () => {
    const { cluster, at, expectNothingLeft } = clusterOf({ min: 0, mode: 'shared' });
    at(A).dialling = 'by hand';
    at(B).dialling = 'by hand';
    const first = outcomeOf(cluster.acquire({}));
    const [up, other] = at(A).dials.length > 0 ? [A, B] : [B, A];
    at(up).next.succeed();
    await settled();
    expect(first.value?.state).toBe('held');
    expect(at(other).pending.size).toBe(0);
    for (let i = 0; i < 4; i++) expect(cluster.tryAcquire()).toBeDefined();
    expect(at(other).pending.size).toBe(1);
    at(other).next.succeed();
    await settled();
    for (let i = 0; i < 4; i++) cluster.tryAcquire();
    expect(cluster.stats().every(({ acquired }) => acquired > 0)).toBe(true);
    await expectNothingLeft();
  });

  it('is asked by one dial at a time, with growing delays, until it is back', async () => {
    const { cluster, at, clock, expectNothingLeft } = clusterOf({ min: 0, mode: 'shared' });
    for (const address of [A, B]) {
      const lease = await cluster.acquire({ key: address === A ? 'k0' : 'k1' });
      lease.release();
    }
    const [down] = [A, B].filter((address) => at(address).open > 0);
    if (down === undefined) throw new Error('nothing was opened');
    const up = down === A ? B : A;
    (await cluster.acquire({})).release();
    cluster.tryAcquire()?.release();
    await settled();
    expect(at(up).open).toBe(1);
    at(down).dialling = 'fails';
    const before = at(down).dials.length;
    for (const resource of at(down).openResources) resource.lose();
    await clock.run(800, 50);
    // At once, and after 100, 300 and 700 ms.
    expect(at(down).dials.length - before).toBe(4);
    at(down).dialling = 'succeeds';
    await clock.run(1_000, 50);
    expect(at(down).open).toBe(1);
    await expectNothingLeft();
  });
});
