import { describe, expect, it } from '@jest/globals';
import type { PoolOptions } from '../../../lib/pool/settings.js';
import { FakeFactory } from '../../support/fake-factory.js';
import { settled } from '../../support/step-clock.js';
import { A, B, clusterOf } from '../cluster/cluster-setup.js';
import { expectNothingLeft, outcomeOf, warmPoolOf } from './pool-setup.js';

/** Two connections in use, the first of which is about to be lost; none is opened in its place. */
async function twoInUse(settings: PoolOptions = {}, factory = new FakeFactory({ validates: true })) {
  factory.dialling = 'succeeds';
  const all = await warmPoolOf({ mode: 'shared', min: 2, max: 2, ...settings }, factory);
  const [first, second] = [await all.pool.acquire(), await all.pool.acquire()];
  const third = settings.min === 3 ? await all.pool.acquire() : undefined;
  factory.dialling = 'by hand';
  // A peer that drops what it has just accepted is another matter.
  all.clock.advance(5_000);
  return { ...all, first, second, third, lost: first.resource, sibling: second.resource };
}

describe('when a connection is lost, another to the same peer', () => {
  it('gets no call before it has given a sign of life, for which it is asked at once', async () => {
    const all = await twoInUse();
    const { pool, factory, lost, sibling } = all;
    lost.lose('no answer to a heartbeat');
    expect(factory.validations.map(({ resource }) => resource)).toEqual([sibling]);
    const waiter = outcomeOf(pool.acquire());
    await settled();
    expect(pool.tryAcquire()).toBeUndefined();
    expect(waiter.isSettled).toBe(false);
    factory.validations[0]?.pass();
    await settled();
    expect(waiter.value?.resource).toBe(sibling);
    expect(pool.tryAcquire()?.resource).toBe(sibling);
    await expectNothingLeft(all);
  });

  it('keeps its calls, however long it does not answer: its heartbeat decides', async () => {
    const { pool, factory, clock, lost, second, sibling } = await twoInUse();
    lost.lose();
    await clock.run(60_000, 1_000);
    expect(factory.isOpen(sibling)).toBe(true);
    expect(second.state).toBe('held');
    expect(pool.tryAcquire()).toBeUndefined();
    pool.destroy();
  });

  it('is not trusted for bytes that are read after the loss, which may have been sent before: only for its answer', async () => {
    const { pool, clock, factory, lost, sibling } = await twoInUse();
    lost.lose();
    clock.advance(1);
    sibling.lastAliveAt = clock.now();
    expect(pool.tryAcquire()).toBeUndefined();
    factory.validations[0]?.pass();
    await settled();
    expect(pool.tryAcquire()?.resource).toBe(sibling);
    pool.destroy();
  });

  it('is not trusted for an answer to a question that was asked before yet another was lost', async () => {
    const factory = new FakeFactory({ validates: true });
    const { pool, lost, second, third } = await twoInUse({ min: 3, max: 3 }, factory);
    if (third === undefined) throw new Error('no third connection');
    lost.lose();
    second.resource.lose();
    const ofThird = factory.validations.filter(({ resource }) => resource === third.resource);
    expect(ofThird).toHaveLength(2);
    ofThird[0]?.pass();
    await settled();
    expect(pool.tryAcquire()).toBeUndefined();
    ofThird[1]?.pass();
    await settled();
    expect(pool.tryAcquire()?.resource).toBe(third.resource);
    pool.destroy();
  });

  it('is asked only when somebody wants it, if it is idle', async () => {
    const all = await twoInUse({ min: 2 });
    all.second.release();
    all.lost.lose();
    expect(all.factory.validations).toHaveLength(0);
    const waiter = outcomeOf(all.pool.acquire());
    expect(all.factory.validations).toHaveLength(1);
    all.factory.validations[0]?.pass();
    await settled();
    expect(waiter.value?.resource).toBe(all.sibling);
    await expectNothingLeft(all);
  });

  it('is asked when it is given back and somebody waits, also where it is lent to one at a time', async () => {
    const { pool, factory, lost, second, sibling } = await twoInUse({ mode: 'exclusive' });
    lost.lose();
    const waiter = outcomeOf(pool.acquire());
    expect(factory.validations).toHaveLength(0);
    second.release();
    expect(factory.validations).toHaveLength(1);
    factory.validations[0]?.pass();
    await settled();
    expect(waiter.value?.resource).toBe(sibling);
    pool.destroy();
  });

  it('does not keep a dial from being made, which serves those who wait', async () => {
    const { pool, factory, lost } = await twoInUse();
    lost.lose();
    const waiter = outcomeOf(pool.acquire());
    const fresh = factory.next.succeed();
    await settled();
    expect(waiter.value?.resource).toBe(fresh);
    pool.destroy();
  });

  it('is in no doubt where the peer had said goodbye on the lost one, or where nothing can be asked', async () => {
    const retired = await twoInUse();
    retired.pool.retire(retired.lost);
    retired.lost.lose();
    expect(retired.pool.tryAcquire()?.resource).toBe(retired.sibling);
    retired.pool.destroy();

    const mute = await twoInUse({}, new FakeFactory());
    mute.lost.lose();
    expect(mute.pool.tryAcquire()?.resource).toBe(mute.sibling);
    mute.pool.destroy();
  });

  it('is in doubt as well when an idle one has not answered', async () => {
    const { pool, factory, clock, first, second } = await twoInUse();
    second.release();
    clock.advance(1_000);
    first.resource.lastAliveAt = clock.now();
    // The idle one has been silent: it is asked, beside the busy one.
    expect(pool.tryAcquire()?.resource).toBe(first.resource);
    factory.validations[0]?.fail();
    await settled();
    expect(factory.reasons).toEqual(['invalid']);
    expect(pool.tryAcquire()).toBeUndefined();
    expect(factory.validations[1]?.resource).toBe(first.resource);
    pool.destroy();
  });

  it('is passed over for other endpoints', async () => {
    const factories = new Map([A, B].map((address) => [address, new FakeFactory({ validates: true })]));
    const at = (address: string): FakeFactory => factories.get(address) ?? new FakeFactory();
    for (const factory of factories.values()) factory.dialling = 'succeeds';
    const { cluster } = clusterOf({ mode: 'shared', min: 2, max: 2 }, [A, B], {
      factory: ({ address }) => at(address),
    });
    cluster.start();
    await settled();
    for (let i = 0; i < 8; i++) expect(cluster.tryAcquire()).toBeDefined();
    at(A).openResources[0]?.lose('no answer to a heartbeat');
    // Its load has just become half of what the other has.
    for (let i = 0; i < 20; i++) expect(at(B).openResources).toContain(cluster.tryAcquire()?.resource);
    at(A).validations[0]?.pass();
    await settled();
    expect(at(A).openResources).toContain(cluster.tryAcquire()?.resource);
    cluster.destroy();
  });
});

describe('a connection that only has to be asked', () => {
  it('is asked although a dial is under way, which may hang, here or at another endpoint', async () => {
    const factories = new Map([A, B].map((address) => [address, new FakeFactory({ validates: true })]));
    const at = (address: string): FakeFactory => factories.get(address) ?? new FakeFactory();
    at(B).dialling = 'succeeds';
    const { cluster, clock } = clusterOf({ mode: 'shared', min: 1, max: 2 }, [A, B], {
      factory: ({ address }) => at(address),
    });
    cluster.start();
    await settled();
    clock.advance(1_000);
    expect(at(A).pending.size).toBe(1);
    const waiter = outcomeOf(cluster.acquire({}));
    at(B).validations[0]?.pass();
    await settled();
    expect(at(B).openResources).toContain(waiter.value?.resource);
    cluster.destroy();
  });
});
