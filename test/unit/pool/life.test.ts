import { describe, expect, it } from '@jest/globals';
import { FakeFactory } from '../../support/fake-factory.js';
import { settled } from '../../support/step-clock.js';
import { expectNothingLeft, outcomeOf, warmPoolOf } from './pool-setup.js';

describe('an idle resource above the minimum', () => {
  it('is closed when it has been idle for idleTimeoutMs, counted from its release', async () => {
    const all = await warmPoolOf({ min: 1, idleTimeoutMs: 1_000 });
    const leases = [await all.pool.acquire(), await all.pool.acquire(), await all.pool.acquire()];
    all.clock.advance(5_000);
    leases[2]?.release();
    all.clock.advance(400);
    leases[1]?.release();
    all.clock.advance(599);
    expect(all.pool.size).toBe(3);
    all.clock.advance(1);
    expect(all.pool.size).toBe(2);
    all.clock.advance(400);
    expect(all.pool.stats()).toMatchObject({ total: 1, idle: 0, active: 1, closed: { idle: 2 } });
    leases[0]?.release();
    await all.clock.run(10_000);
    expect(all.pool.size).toBe(1);
    await expectNothingLeft(all);
  });

  it('stays while it is used', async () => {
    const { pool, clock } = await warmPoolOf({ min: 0, idleTimeoutMs: 1_000 });
    for (let i = 0; i < 10; i++) {
      (await pool.acquire()).release();
      clock.advance(999);
    }
    expect(pool.stats()).toMatchObject({ total: 1, created: 1 });
  });

  it('stays for ever with 0', async () => {
    const { pool, clock } = await warmPoolOf({ min: 0, idleTimeoutMs: 0 });
    (await pool.acquire()).release();
    clock.advance(1_000_000);
    expect(pool.size).toBe(1);
  });

  it('is not charged for the time in which the process was frozen', async () => {
    const { pool, clock } = await warmPoolOf({ min: 0, idleTimeoutMs: 1_000 });
    const [first, second] = [await pool.acquire(), await pool.acquire()];
    first.release();
    clock.advance(400);
    second.release();
    clock.freeze(60_000);
    // The sweep for the first was due after 1000 ms and comes late: for the second, 400 ms are left.
    clock.advance(0);
    expect(pool.size).toBe(1);
    clock.advance(399);
    expect(pool.size).toBe(1);
    clock.advance(1);
    expect(pool.size).toBe(0);
  });
});

/** A pool of one resource that is being asked for a sign of life, and the caller who waits for it. */
async function silentPoolOf() {
  const all = await warmPoolOf(
    { min: 1, max: 1, acquireTimeoutMs: 60_000 },
    new FakeFactory({ validates: true, dialling: 'succeeds' }),
  );
  all.clock.advance(1_000);
  const given = outcomeOf(all.pool.acquire());
  return { ...all, given };
}

describe('a lifetime', () => {
  it('ends between three quarters of it and the whole, at random', async () => {
    for (const [random, ageMs] of [
      [0, 1_000],
      [0.999, 751],
    ] as const) {
      const { pool, clock, factory } = await warmPoolOf({ min: 1, maxLifetimeMs: 1_000 }, undefined, {
        random: () => random,
      });
      clock.advance(ageMs - 1);
      expect(factory.reasons).toEqual([]);
      clock.advance(1);
      await settled();
      expect(factory.reasons).toEqual(['lifetime']);
      pool.destroy();
    }
  });

  it('never ends under a call: the resource is closed when it is released, and replaced', async () => {
    const all = await warmPoolOf({ min: 1, maxLifetimeMs: 1_000, max: 2 });
    const lease = await all.pool.acquire();
    await all.clock.run(5_000);
    expect(lease.resource.id).toBe(1);
    expect(all.factory.reasons).toEqual([]);
    // Its replacement is there already.
    expect(all.pool.stats()).toMatchObject({ total: 2, idle: 1, active: 1 });
    lease.release();
    expect(all.factory.destroyed).toEqual([{ id: 1, reason: 'lifetime' }]);
    await expectNothingLeft(all);
  });
});

describe('retiring', () => {
  it('of idle resources leaves each in place until its replacement is there', async () => {
    const { pool, factory } = await warmPoolOf({ min: 2, max: 4 }, new FakeFactory({ dialling: 'succeeds' }));
    factory.dialling = 'by hand';
    pool.evict();
    await settled();
    expect(pool.stats()).toMatchObject({ total: 2, idle: 2, connecting: 2 });
    factory.next.succeed();
    factory.next.succeed();
    await settled();
    expect(pool.stats()).toMatchObject({ total: 2, idle: 2, connecting: 0, closed: { retired: 2 } });
    expect(factory.openResources.map(({ id }) => id)).toEqual([3, 4]);
    pool.destroy();
  });

  it('goes one by one in a pool that is full', async () => {
    const { pool, factory } = await warmPoolOf({ min: 3, max: 3 }, new FakeFactory({ dialling: 'succeeds' }));
    factory.dialling = 'by hand';
    pool.evict();
    for (let left = 2; left >= 0; left--) {
      expect(pool.stats()).toMatchObject({ total: 2, connecting: 1 });
      factory.next.succeed();
      await settled();
    }
    expect(pool.stats()).toMatchObject({ total: 3, idle: 3, connecting: 0 });
    expect(factory.openResources.map(({ id }) => id)).toEqual([4, 5, 6]);
    pool.destroy();
  });

  it('of resources whose calls do not end lets them take calls again, where nothing can replace them', async () => {
    const { pool, clock } = await warmPoolOf({ mode: 'shared', min: 1, max: 1, acquireTimeoutMs: 3_000 });
    const stream = await pool.acquire();
    pool.evict();
    const call = outcomeOf(pool.acquire());
    await clock.run(999);
    expect(call.isSettled).toBe(false);
    await clock.run(1);
    expect(call.value?.resource).toBe(stream.resource);
    call.value?.release();
    stream.release();
    await settled();
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, closed: { retired: 1 } });
    pool.destroy();
  });

  it('closes an idle resource at once and another on release, and refills the minimum', async () => {
    const { pool, factory } = await warmPoolOf({ min: 2 });
    const lease = await pool.acquire();
    const idle = factory.dials.map(({ resource }) => resource).find(({ id }) => id !== lease.resource.id);
    if (idle === undefined) throw new Error('no idle resource');
    pool.retire(idle);
    expect(factory.destroyed).toEqual([{ id: idle.id, reason: 'retired' }]);
    pool.retire(lease.resource);
    await settled();
    expect(factory.destroyed).toHaveLength(1);
    expect(pool.stats()).toMatchObject({ total: 3, idle: 2, active: 1 });
    lease.release();
    expect(factory.reasons).toEqual(['retired', 'retired']);
    expect(pool.stats()).toMatchObject({ total: 2, idle: 2 });
  });

  it('of all replaces every resource and fails no caller', async () => {
    const { pool, factory } = await warmPoolOf({ min: 3, max: 4 });
    const lease = await pool.acquire();
    pool.evict();
    await settled();
    expect(factory.reasons).toEqual(['retired', 'retired']);
    expect(lease.resource.id).toBeDefined();
    lease.release();
    await settled();
    expect(pool.stats()).toMatchObject({ total: 3, closed: { retired: 3 } });
  });
});

describe('validation', () => {
  const validating = () => new FakeFactory({ validates: true, dialling: 'succeeds' });

  it('is left out within validateAfterIdleMs, and done after it', async () => {
    const { pool, factory, clock } = await warmPoolOf({ min: 1, max: 1, validateAfterIdleMs: 500 }, validating());
    clock.advance(500);
    (await pool.acquire()).release();
    expect(factory.validations).toHaveLength(0);
    clock.advance(501);
    const lease = outcomeOf(pool.acquire());
    expect(factory.validations).toHaveLength(1);
    await settled();
    expect(lease.isSettled).toBe(false);
    factory.validations[0]?.pass();
    await settled();
    expect(lease.value?.resource.id).toBe(1);
    expect(clock.pending).toBe(1);
    pool.destroy();
    expect(clock.pending).toBe(0);
  });

  it('is left out where the resource showed a sign of life lately', async () => {
    const { pool, factory, clock } = await warmPoolOf({ min: 1, validateAfterIdleMs: 500 }, validating());
    clock.advance(10_000);
    for (const { resource } of factory.dials) resource.lastAliveAt = clock.now() - 100;
    expect(pool.tryAcquire()).toBeDefined();
    expect(factory.validations).toHaveLength(0);
  });

  it('replaces a resource that fails it, unnoticed by the caller', async () => {
    const { pool, factory, clock } = await warmPoolOf({ min: 1, max: 1 }, validating());
    clock.advance(10_000);
    const lease = outcomeOf(pool.acquire());
    factory.validations[0]?.fail();
    await settled();
    expect(lease.value?.resource.id).toBe(2);
    expect(factory.destroyed).toEqual([{ id: 1, reason: 'invalid' }]);
    expect(pool.stats().closed.invalid).toBe(1);
  });

  it('replaces a resource that does not answer while the caller has time left', async () => {
    const { pool, factory, clock } = await warmPoolOf({ min: 1, max: 1, acquireTimeoutMs: 900 }, validating());
    clock.advance(10_000);
    const lease = outcomeOf(pool.acquire());
    await clock.run(299);
    expect(lease.isSettled).toBe(false);
    await clock.run(1);
    expect(lease.value?.resource.id).toBe(2);
    factory.validations[0]?.pass();
    await settled();
    expect(pool.stats()).toMatchObject({ total: 1, active: 1, closed: { invalid: 1 } });
  });

  it('loses nothing when the caller leaves meanwhile', async () => {
    const all = await warmPoolOf({ min: 1, max: 1 }, validating());
    all.clock.advance(10_000);
    const abort = new AbortController();
    const lease = outcomeOf(all.pool.acquire({ signal: abort.signal }));
    abort.abort();
    all.factory.validations[0]?.pass();
    await settled();
    expect(lease.error).toMatchObject({ code: 'PTCP_ABORTED' });
    expect(all.pool.stats()).toMatchObject({ total: 1, idle: 1, active: 0 });
    await expectNothingLeft(all);
  });

  it('of a resource that dies meanwhile makes room for a dial at once', async () => {
    const all = await warmPoolOf({ min: 0, max: 1 }, validating());
    (await all.pool.acquire()).release();
    all.clock.advance(10_000);
    const lease = outcomeOf(all.pool.acquire());
    expect(all.factory.validations).toHaveLength(1);
    all.factory.dials[0]?.resource.lose();
    await settled();
    expect(lease.value?.resource.id).toBe(2);
    await expectNothingLeft(all);
  });

  it('gives a resource its time again when the process was frozen meanwhile', async () => {
    const { pool, clock, factory, given } = await silentPoolOf();
    // The question had a third of the minute that the caller has; the answer lay unread when its time was up.
    clock.freeze(40_000);
    clock.advance(1);
    await settled();
    expect(factory.reasons).toEqual([]);
    factory.validations[0]?.pass();
    await settled();
    expect(given.value?.resource.id).toBe(1);
    expect(pool.size).toBe(1);
    pool.destroy();
  });

  it('leaves no timer when the pool is destroyed meanwhile', async () => {
    const all = await warmPoolOf({ min: 1 }, validating());
    all.clock.advance(10_000);
    const lease = outcomeOf(all.pool.acquire());
    await expectNothingLeft(all);
    expect(lease.error).toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    all.factory.validations[0]?.pass();
    await settled();
    expect(all.pool.size).toBe(0);
  });

  it('asks no more resources than there are callers', async () => {
    const { pool, factory, clock } = await warmPoolOf({ min: 4, max: 4 }, validating());
    clock.advance(10_000);
    outcomeOf(pool.acquire());
    outcomeOf(pool.acquire());
    expect(factory.validations).toHaveLength(2);
    pool.destroy();
  });
});
