import { describe, expect, it } from '@jest/globals';
import type { Lease } from '../../../lib/pool/lease.js';
import { FakeFactory, type FakeResource } from '../../support/fake-factory.js';
import { settled } from '../../support/step-clock.js';
import { expectNothingLeft, outcomeOf, poolOf, warmPoolOf } from './pool-setup.js';

const shared = { mode: 'shared' } as const;

describe('mode shared', () => {
  it('lends an idle resource first, then the one with the fewest calls', async () => {
    const { pool } = await warmPoolOf({ ...shared, min: 3, max: 3 });
    const leases: Lease<FakeResource>[] = [];
    for (let i = 0; i < 9; i++) leases.push(await pool.acquire());
    const calls = new Map<number, number>();
    for (const { resource } of leases) calls.set(resource.id, (calls.get(resource.id) ?? 0) + 1);
    expect([...calls.values()]).toEqual([3, 3, 3]);
    const freed = leases.filter(({ resource }) => resource.id === 2);
    freed.pop();
    for (const lease of freed) lease.release();
    expect((await pool.acquire()).resource.id).toBe(2);
  });

  it('lends one resource to many, at most maxInFlight', async () => {
    const { pool } = await warmPoolOf({ ...shared, min: 1, max: 1, maxInFlight: 3 });
    const leases = [pool.tryAcquire(), pool.tryAcquire(), pool.tryAcquire()];
    const waiter = outcomeOf(pool.acquire());
    await settled();
    expect(pool.stats()).toMatchObject({ total: 1, active: 1, inFlight: 3, waiting: 1 });
    expect(waiter.isSettled).toBe(false);
    leases[1]?.release();
    await settled();
    expect(waiter.value?.resource.id).toBe(1);
    expect(pool.stats()).toMatchObject({ inFlight: 3, waiting: 0 });
  });

  it('grows in the background from 64 calls in flight on each, up to max', async () => {
    const { pool, factory } = await warmPoolOf({ ...shared, min: 1, max: 2 });
    for (let i = 0; i < 64; i++) expect(pool.tryAcquire()?.resource.id).toBe(1);
    expect(factory.dials).toHaveLength(1);
    expect(pool.tryAcquire()?.resource.id).toBe(1);
    expect(factory.dials).toHaveLength(2);
    await settled();
    expect(pool.tryAcquire()?.resource.id).toBe(2);
    for (let i = 0; i < 200; i++) expect(pool.tryAcquire()).toBeDefined();
    await settled();
    expect(factory.dials).toHaveLength(2);
  });

  it('has a silent resource asked, rather than leaving it idle beside a busy one', async () => {
    const { pool, clock, factory } = await warmPoolOf(
      { ...shared, min: 2, max: 2 },
      new FakeFactory({ validates: true, dialling: 'succeeds' }),
    );
    clock.advance(1_000);
    const first = outcomeOf(pool.acquire());
    factory.validations[0]?.pass();
    await settled();
    expect(first.isSettled).toBe(true);
    expect(pool.tryAcquire()?.resource).toBe(first.value?.resource);
    expect(factory.validations).toHaveLength(2);
    factory.validations[1]?.pass();
    await settled();
    expect(pool.tryAcquire()?.resource).not.toBe(first.value?.resource);
    pool.destroy();
  });

  it('grows with the square root of the load, so that each write still carries many calls', async () => {
    const { pool, factory } = await warmPoolOf({ ...shared, min: 1, max: 10, maxInFlight: 10_000 });
    const connectionsAt: number[] = [];
    for (let calls = 1; calls <= 1025; calls++) {
      expect(pool.tryAcquire()).toBeDefined();
      await settled();
      if (calls === 65 || calls === 257 || calls === 577 || calls === 1025) connectionsAt.push(factory.open);
    }
    expect(connectionsAt).toEqual([2, 3, 4, 5]);
    expect(factory.dials).toHaveLength(5);
  });

  it('does not grow because the first of its connections to be ready carries a crowd alone', async () => {
    const { pool, clock, factory } = await warmPoolOf(
      { ...shared, min: 2, max: 10 },
      new FakeFactory({ validates: true, dialling: 'succeeds' }),
    );
    clock.advance(1_000);
    const crowd = Array.from({ length: 255 }, () => outcomeOf(pool.acquire()));
    const dials = factory.dials.length;
    factory.validations[0]?.pass();
    await settled();
    expect(new Set(crowd.map(({ value }) => value?.resource)).size).toBe(1);
    // 255 calls are for two connections, however they lie on them.
    expect(factory.dials).toHaveLength(dials);
    pool.destroy();
  });

  it('dials for many who wait as for one', async () => {
    const { pool, factory } = poolOf({ ...shared, max: 10 }, new FakeFactory());
    const waiters = Array.from({ length: 64 }, () => outcomeOf(pool.acquire()));
    expect(factory.dials).toHaveLength(1);
    outcomeOf(pool.acquire());
    expect(factory.dials).toHaveLength(2);
    factory.next.succeed();
    await settled();
    expect(waiters.every(({ isSettled }) => isSettled)).toBe(true);
    pool.destroy();
  });
});

describe('a whole resource among shared calls', () => {
  it('takes no calls while it is lent', async () => {
    const { pool } = await warmPoolOf({ ...shared, min: 2, max: 2 });
    const whole = await pool.acquire({ whole: true });
    const { id } = whole.resource;
    for (let i = 0; i < 10; i++) expect(pool.tryAcquire()?.resource.id).not.toBe(id);
    expect(pool.stats()).toMatchObject({ active: 2, inFlight: 11 });
    whole.release();
    expect(pool.tryAcquire()?.resource.id).toBe(id);
  });

  it('is kept free for the one who waits, however many calls there are, while others carry those', async () => {
    const { pool } = await warmPoolOf({ ...shared, min: 2, max: 2 });
    const calls = [await pool.acquire(), await pool.acquire(), await pool.acquire(), await pool.acquire()];
    const whole = outcomeOf(pool.acquire({ whole: true }));
    const later: Lease<FakeResource>[] = [];
    for (let i = 0; i < 20; i++) later.push(await pool.acquire());
    const carriers = new Set(later.map(({ resource }) => resource.id));
    expect(carriers.size).toBe(1);
    for (const lease of calls) if (!carriers.has(lease.resource.id)) lease.release();
    await settled();
    expect(whole.value?.resource.id).toBeDefined();
    expect(carriers.has(whole.value?.resource.id ?? 0)).toBe(false);
  });

  it('makes later calls wait where it is the only one, and they go on after it', async () => {
    const { pool } = await warmPoolOf({ ...shared, min: 1, max: 1 });
    const call = await pool.acquire();
    const whole = outcomeOf(pool.acquire({ whole: true }));
    const later = outcomeOf(pool.acquire());
    await settled();
    expect(later.isSettled).toBe(false);
    call.release();
    await settled();
    expect(later.isSettled).toBe(false);
    whole.value?.release();
    await settled();
    expect(later.value?.resource.id).toBe(1);
  });

  it('is free for calls again at once when the one who waited for it leaves', async () => {
    const { pool, factory } = await warmPoolOf({ ...shared, min: 1, max: 1 });
    await pool.acquire();
    const abort = new AbortController();
    outcomeOf(pool.acquire({ whole: true, signal: abort.signal }));
    const later = outcomeOf(pool.acquire());
    abort.abort();
    await settled();
    expect(later.value?.resource.id).toBe(1);
    expect(pool.tryAcquire()?.resource.id).toBe(1);
    expect(factory.dials).toHaveLength(1);
  });

  it('is free for calls again, and needs no dial for them, when nobody else waits', async () => {
    const { pool, factory } = await warmPoolOf({ ...shared, min: 1, max: 4 });
    await pool.acquire();
    factory.dialling = 'fails';
    const abort = new AbortController();
    outcomeOf(pool.acquire({ whole: true, signal: abort.signal }));
    await settled();
    const dials = factory.dials.length;
    abort.abort();
    expect(pool.tryAcquire()?.resource.id).toBe(1);
    expect(factory.dials).toHaveLength(dials);
    pool.destroy();
  });

  it('is free for calls again when the one who waited for it got another', async () => {
    const { pool } = await warmPoolOf({ ...shared, min: 2, max: 2 });
    const calls = [await pool.acquire(), await pool.acquire(), await pool.acquire(), await pool.acquire()];
    const whole = outcomeOf(pool.acquire({ whole: true }));
    const later = await pool.acquire();
    const { id } = later.resource;
    // The one that is not kept becomes free first.
    for (const lease of [...calls, later].filter(({ resource }) => resource.id === id)) lease.release();
    await settled();
    expect(whole.value?.resource.id).toBe(id);
    expect(pool.tryAcquire()?.resource.id).toBe(3 - id);
  });

  it('is dialled for when all are busy and there is room', async () => {
    const { pool, factory } = await warmPoolOf({ ...shared, min: 1, max: 2 });
    await pool.acquire();
    const whole = outcomeOf(pool.acquire({ whole: true }));
    await settled();
    expect(whole.value?.resource.id).toBe(2);
    expect(factory.dials).toHaveLength(2);
    expect(pool.tryAcquire()?.resource.id).toBe(1);
  });

  it('is served in the order of asking, calls and wholes together', async () => {
    const { pool } = await warmPoolOf({ ...shared, min: 1, max: 1, maxInFlight: 1_000 });
    const held = await pool.acquire({ whole: true });
    const order: string[] = [];
    const ask = (name: string, whole: boolean): void => {
      void pool.acquire({ whole }).then((lease) => {
        order.push(name);
        lease.release();
      });
    };
    ask('call 1', false);
    ask('whole 2', true);
    ask('call 3', false);
    ask('whole 4', true);
    held.release();
    await settled();
    expect(order).toEqual(['call 1', 'whole 2', 'call 3', 'whole 4']);
  });
});

describe('mode exclusive', () => {
  it('lends each resource to one at a time', async () => {
    const all = poolOf({ mode: 'exclusive', max: 3 });
    let inUse = 0;
    const inHand = new Set<number>();
    for (let i = 0; i < 50; i++) {
      void all.pool.acquire({ whole: i % 3 === 0 }).then(async (lease) => {
        expect(inHand.has(lease.resource.id)).toBe(false);
        inHand.add(lease.resource.id);
        inUse = Math.max(inUse, inHand.size);
        await Promise.resolve();
        inHand.delete(lease.resource.id);
        lease.release();
      });
    }
    await settled();
    await settled();
    expect(inUse).toBe(3);
    expect(all.pool.stats()).toMatchObject({ acquired: 50, inFlight: 0, waiting: 0, idle: 3 });
    await expectNothingLeft(all);
  });

  it('serves those who wait in the order in which they came, calls and leases alike', async () => {
    const { pool } = await warmPoolOf({ mode: 'exclusive', min: 2, max: 2 });
    const held = [await pool.acquire(), await pool.acquire()];
    const order: number[] = [];
    for (let i = 0; i < 10; i++) {
      void pool.acquire({ whole: i % 2 === 0 }).then(async (lease) => {
        order.push(i);
        await Promise.resolve();
        lease.release();
      });
    }
    for (const lease of held) lease.release();
    await settled();
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('refuses at once who would be one too many to wait', async () => {
    const { pool } = await warmPoolOf({ mode: 'exclusive', min: 1, max: 1, maxWaiters: 2 });
    const held = await pool.acquire();
    const waiters = [outcomeOf(pool.acquire()), outcomeOf(pool.acquire())];
    const refused = outcomeOf(pool.acquire());
    await settled();
    expect(refused.error).toMatchObject({ code: 'PTCP_POOL_EXHAUSTED', sent: false });
    expect(waiters.map(({ isSettled }) => isSettled)).toEqual([false, false]);
    held.release();
    await settled();
    expect(waiters.map(({ isSettled }) => isSettled)).toEqual([true, false]);
  });
});

describe('mode short', () => {
  it('opens a fresh resource for each caller and closes it on release', async () => {
    const { pool, factory } = poolOf({ mode: 'short', max: 2 });
    for (let id = 1; id <= 3; id++) {
      const lease = await pool.acquire();
      expect(lease.resource.id).toBe(id);
      lease.release();
      expect(pool.stats()).toMatchObject({ total: 0, closed: { surplus: id } });
    }
    expect(factory.open).toBe(0);
  });

  it('opens as many at once as there are callers, up to max: each call waits for its own', async () => {
    const { pool, factory } = poolOf({ mode: 'short', max: 8 }, new FakeFactory());
    const first = outcomeOf(pool.acquire());
    factory.next.succeed();
    await settled();
    expect(first.isSettled).toBe(true);
    const callers = Array.from({ length: 20 }, () => outcomeOf(pool.acquire()));
    expect(pool.stats()).toMatchObject({ connecting: 7, active: 1, waiting: 20 });
    first.value?.release();
    expect(pool.stats()).toMatchObject({ connecting: 8, active: 0, waiting: 20 });
    expect(callers.some(({ isSettled }) => isSettled)).toBe(false);
    pool.destroy();
  });

  it('asks with one where the last dial has failed, and with as many as before once that succeeds', async () => {
    const { pool, factory, clock } = poolOf({ mode: 'short', max: 8 }, new FakeFactory());
    for (let i = 0; i < 6; i++) outcomeOf(pool.acquire());
    factory.dialling = 'fails';
    for (const dial of [...factory.dials]) dial.reject();
    await settled();
    factory.dialling = 'by hand';
    const before = factory.dials.length;
    clock.advance(1_000);
    expect(factory.dials).toHaveLength(before + 1);
    factory.next.succeed();
    await settled();
    expect(pool.stats().connecting).toBe(5);
    pool.destroy();
  });

  it('lets callers beyond max wait for their turn', async () => {
    const { pool } = poolOf({ mode: 'short', max: 2 });
    const ids: number[] = [];
    for (let i = 0; i < 5; i++) {
      void pool.acquire().then(async (lease) => {
        ids.push(lease.resource.id);
        await Promise.resolve();
        lease.release();
      });
    }
    await settled();
    expect(ids).toEqual([1, 2, 3, 4, 5]);
    expect(pool.size).toBe(0);
  });

  it('keeps nothing that was dialled for one who has left', async () => {
    const { pool, factory } = poolOf({ mode: 'short' }, new FakeFactory());
    const abort = new AbortController();
    outcomeOf(pool.acquire({ signal: abort.signal }));
    abort.abort();
    factory.next.succeed();
    await settled();
    expect(factory.open).toBe(0);
    expect(pool.size).toBe(0);
  });
});
