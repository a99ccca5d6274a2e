import { describe, expect, it } from '@jest/globals';
import type { Lease, WholeLease } from '../../../lib/pool/lease.js';
import type { FakeResource } from '../../support/fake-factory.js';
import { settled } from '../../support/step-clock.js';
import { expectNothingLeft, outcomeOf, poolOf, warmPoolOf } from './pool-setup.js';

describe('a lease', () => {
  it('that is released twice throws, and takes nothing from the next borrower', async () => {
    const { pool } = await warmPoolOf({ min: 1, max: 1 });
    const first = await pool.acquire();
    first.release();
    const second = await pool.acquire();
    expect(() => {
      first.release();
    }).toThrow(expect.objectContaining({ code: 'PTCP_LEASE_RELEASED' }));
    expect(() => {
      first.discard();
    }).toThrow(expect.objectContaining({ code: 'PTCP_LEASE_RELEASED' }));
    expect(second.state).toBe('held');
    expect(pool.stats()).toMatchObject({ total: 1, idle: 0, active: 1, inFlight: 1 });
  });

  it('throws when it is used after its release', async () => {
    const { pool } = await warmPoolOf({ min: 1 });
    const lease = await pool.acquire();
    lease.release();
    expect(() => lease.resource).toThrow(expect.objectContaining({ code: 'PTCP_LEASE_RELEASED', sent: false }));
  });

  it('that is discarded destroys its resource and lets the next caller have another', async () => {
    const all = await warmPoolOf({ min: 1, max: 1 });
    const lease = await all.pool.acquire();
    const waiter = outcomeOf(all.pool.acquire());
    lease.discard();
    await settled();
    expect(all.factory.destroyed).toEqual([{ id: 1, reason: 'discarded' }]);
    expect(waiter.value?.resource.id).toBe(2);
    await expectNothingLeft(all);
  });

  it('outlives the loss of its resource, and its release changes nothing then', async () => {
    const { pool, factory } = await warmPoolOf({ min: 1, max: 1 });
    (await pool.acquire()).release();
    const lease = await pool.acquire();
    lease.resource.lose();
    await settled();
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, inFlight: 1, closed: { lost: 1 } });
    lease.release();
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, inFlight: 0 });
    expect(factory.destroyed).toEqual([]);
  });
});

describe('a whole lease that is held too long', () => {
  const leaky = { min: 1, max: 1, leakWarnMs: 1_000, leakReclaimMs: 3_000 };

  it('is reported once, with its origin, and then taken back and fenced', async () => {
    const all = await warmPoolOf(leaky);
    const origin = new Error('borrowed here');
    const lease = await all.pool.acquire({ whole: true, origin });
    const waiter = outcomeOf(all.pool.acquire({ timeoutMs: 60_000 }));
    await all.clock.run(999);
    expect(all.reports.leaks).toEqual([]);
    await all.clock.run(1);
    expect(all.reports.leaks).toEqual([{ lease, heldMs: 1_000, reclaimed: false }]);
    expect(all.reports.leaks[0]?.lease.origin).toBe(origin);
    await all.clock.run(1_999);
    expect(all.reports.leaks).toHaveLength(1);
    await all.clock.run(1);
    expect(all.reports.leaks[1]).toEqual({ lease, heldMs: 3_000, reclaimed: true });
    expect(all.factory.destroyed).toEqual([{ id: 1, reason: 'reclaimed' }]);
    expect(waiter.value?.resource.id).toBe(2);
    expect(() => lease.resource).toThrow(expect.objectContaining({ code: 'PTCP_LEASE_RECLAIMED' }));
    expect(() => {
      lease.release();
    }).toThrow(expect.objectContaining({ code: 'PTCP_LEASE_RECLAIMED' }));
    expect(all.pool.stats()).toMatchObject({ total: 1, active: 1, inFlight: 1, reclaimed: 1 });
    await expectNothingLeft(all);
  });

  it('is left alone when it is returned in time', async () => {
    const { pool, clock, reports } = await warmPoolOf(leaky);
    const lease = await pool.acquire({ whole: true });
    clock.advance(999);
    lease.release();
    clock.advance(10_000);
    expect(reports.leaks).toEqual([]);
  });

  it('is only reported, or only taken back, as the settings say', async () => {
    for (const [settings, expected] of [
      [{ leakWarnMs: 1_000, leakReclaimMs: 0 }, [false]],
      [{ leakWarnMs: 0, leakReclaimMs: 3_000 }, [true]],
      [{ leakWarnMs: 0, leakReclaimMs: 0 }, []],
    ] as const) {
      const { pool, clock, reports } = await warmPoolOf({ ...leaky, ...settings });
      await pool.acquire({ whole: true });
      clock.advance(100_000);
      expect(reports.leaks.map(({ reclaimed }) => reclaimed)).toEqual(expected);
      pool.destroy();
    }
  });

  it('is not charged for the time in which the process was frozen', async () => {
    const { pool, clock, reports } = await warmPoolOf(leaky);
    const lease = await pool.acquire({ whole: true });
    clock.freeze(60_000);
    clock.advance(0);
    expect(reports.leaks).toMatchObject([{ heldMs: 1_000, reclaimed: false }]);
    clock.advance(1_999);
    expect(lease.state).toBe('held');
    clock.advance(1);
    expect(lease.state).toBe('reclaimed');
  });

  it('is reported for each of several, also when the one who is told gives others back', async () => {
    const reported: number[] = [];
    const others: Lease<FakeResource>[] = [];
    const events = {
      leaked: (lease: WholeLease<FakeResource>) => {
        reported.push(lease.resource.id);
        others.pop()?.release();
      },
    };
    const { pool, clock } = await warmPoolOf({ min: 3, leakWarnMs: 1_000 }, undefined, { events });
    const first = await pool.acquire({ whole: true });
    others.push(await pool.acquire({ whole: true }));
    const last = await pool.acquire({ whole: true });
    clock.advance(1_000);
    expect(reported).toEqual([first.resource.id, last.resource.id]);
    pool.destroy();
  });
});

describe('stats', () => {
  it('are frozen, and agree with what is there after every step', async () => {
    const { pool, factory } = poolOf({ max: 3 });
    const leases = [];
    for (let held = 1; held <= 3; held++) {
      leases.push(await pool.acquire());
      const stats = pool.stats();
      expect(stats).toMatchObject({
        total: held,
        idle: 0,
        active: held,
        connecting: 0,
        inFlight: held,
        acquired: held,
      });
      expect(Object.isFrozen(stats) && Object.isFrozen(stats.closed)).toBe(true);
    }
    for (const [i, lease] of leases.entries()) {
      lease.release();
      expect(pool.stats()).toMatchObject({ total: 3, idle: i + 1, active: 2 - i, inFlight: 2 - i });
    }
    expect(pool.stats()).toMatchObject({ created: 3, total: factory.open });
  });
});
