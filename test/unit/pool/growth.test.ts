import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { FakeFactory } from '../../support/fake-factory.js';
import { seededRandom } from '../../../lib/testing/random.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { expectNothingLeft, outcomeOf, poolOf, warmPoolOf } from './pool-setup.js';

describe('keeping the minimum', () => {
  it('opens nothing before it is started', async () => {
    const { pool, factory } = poolOf({ min: 2 });
    await settled();
    expect(factory.dials).toHaveLength(0);
    expect(pool.state).toBe('new');
  });

  it('opens min resources once it is started', async () => {
    const all = poolOf({ min: 3 }, new FakeFactory());
    all.pool.start();
    for (const opened of [1, 2, 3]) {
      all.factory.next.succeed();
      await settled();
      expect(all.pool.stats()).toMatchObject({ total: opened, idle: opened, created: opened, connecting: 3 - opened });
    }
    await expectNothingLeft(all);
  });

  it('begins with the first acquire', async () => {
    const { pool } = poolOf({ min: 2 });
    await pool.acquire();
    await settled();
    expect(pool.stats()).toMatchObject({ total: 2, idle: 1, active: 1 });
  });

  it('refills it when a resource is lost', async () => {
    const { pool } = await warmPoolOf({ min: 2 });
    const lease = await pool.acquire();
    lease.release();
    lease.member.resource.lose();
    expect(pool.stats()).toMatchObject({ total: 1, connecting: 1 });
    await settled();
    expect(pool.stats()).toMatchObject({ total: 2, idle: 2, closed: { lost: 1 } });
  });
});

describe('growing under load', () => {
  it('goes to max and never beyond, dials included', async () => {
    const all = poolOf({ min: 1, max: 6 });
    const leases = Array.from({ length: 50 }, () => outcomeOf(all.pool.acquire()));
    await settled();
    expect(all.pool.stats()).toMatchObject({ total: 6, active: 6, waiting: 44 });
    expect(all.factory.peak).toBe(6);
    expect(leases.filter(({ isSettled }) => isSettled)).toHaveLength(6);
    await expectNothingLeft(all);
  });

  it('dials at most four at a time', async () => {
    const { pool, factory } = poolOf({ max: 10 }, new FakeFactory());
    for (let i = 0; i < 10; i++) outcomeOf(pool.acquire());
    expect(factory.pending.size).toBe(4);
    factory.next.succeed();
    await settled();
    expect(factory.pending.size).toBe(4);
    expect(pool.stats()).toMatchObject({ total: 1, connecting: 4, waiting: 9 });
    pool.destroy();
  });

  it('dials for no more callers than there are', () => {
    const { pool, factory } = poolOf({ max: 10 }, new FakeFactory());
    for (let i = 0; i < 2; i++) outcomeOf(pool.acquire());
    pool.pump();
    pool.pump();
    expect(factory.dials).toHaveLength(2);
    pool.destroy();
  });

  it('starts no further dial for a caller who has been served otherwise', async () => {
    const { pool, factory } = await warmPoolOf({ min: 1, max: 10 });
    const lease = await pool.acquire();
    factory.dialling = 'by hand';
    const waiters = Array.from({ length: 6 }, () => outcomeOf(pool.acquire()));
    expect(factory.pending.size).toBe(4);
    lease.release();
    await settled();
    waiters[0]?.value?.release();
    await settled();
    expect(waiters.filter(({ isSettled }) => isSettled)).toHaveLength(2);
    factory.next.succeed();
    await settled();
    // Three waiters are left, and three dials under way.
    expect(pool.stats()).toMatchObject({ waiting: 3, connecting: 3 });
    expect(factory.dials).toHaveLength(5);
    pool.destroy();
  });

  it('keeps a resource whose caller has gone', async () => {
    const { pool, factory } = poolOf({}, new FakeFactory());
    const abort = new AbortController();
    const waiter = outcomeOf(pool.acquire({ signal: abort.signal }));
    abort.abort();
    factory.next.succeed();
    await settled();
    expect(waiter.error).toMatchObject({ code: 'PTCP_ABORTED' });
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1 });
    expect((await pool.acquire()).resource.id).toBe(1);
  });
});

describe('a dial that fails', () => {
  it('is repeated after growing delays, and counts once with those that failed beside it', async () => {
    const all = poolOf({ min: 2 }, new FakeFactory({ dialling: 'fails' }));
    all.pool.start();
    await settled();
    expect(all.factory.dials).toHaveLength(2);
    expect(all.reports.failures).toMatchObject([{ retryInMs: 100, attempt: 1 }]);
    await all.clock.run(99);
    expect(all.factory.dials).toHaveLength(2);
    await all.clock.run(1);
    // One asks; the other follows once that has been answered.
    expect(all.factory.dials).toHaveLength(3);
    expect(all.reports.failures).toMatchObject([{ retryInMs: 100 }, { retryInMs: 200, attempt: 2 }]);
    await expectNothingLeft(all);
  });

  it('does not make the pool spin, however many wait', async () => {
    const all = poolOf({ max: 10, acquireTimeoutMs: 60_000 }, new FakeFactory({ dialling: 'fails' }));
    for (let i = 0; i < 100; i++) outcomeOf(all.pool.acquire());
    await all.clock.run(3_000, 50);
    // Four at first, then one each after 100, 300, 700, 1500 and 2500 ms.
    expect(all.factory.dials).toHaveLength(9);
    expect(all.pool.stats()).toMatchObject({ waiting: 100, dialFailures: 9 });
    await expectNothingLeft(all);
  });

  it('is followed by one, and by the others once that has succeeded', async () => {
    const all = poolOf({ min: 4 }, new FakeFactory({ dialling: 'fails' }));
    all.pool.start();
    await settled();
    all.factory.dialling = 'by hand';
    await all.clock.run(100);
    expect(all.factory.pending.size).toBe(1);
    all.factory.next.succeed();
    await settled();
    expect(all.factory.pending.size).toBe(3);
    await expectNothingLeft(all);
  });

  it('fails nobody who waits, and a later one serves them', async () => {
    const { pool, factory, clock } = poolOf({}, new FakeFactory({ dialling: 'fails' }));
    const waiter = outcomeOf(pool.acquire());
    await settled();
    expect(waiter.isSettled).toBe(false);
    expect(pool.lastFailure?.error).toMatchObject({ message: 'connection refused' });
    factory.dialling = 'succeeds';
    await clock.run(100);
    expect(waiter.value?.resource.id).toBe(2);
    expect(pool.lastFailure).toBeUndefined();
  });

  it('includes one whose resource is lost before it was of any use: the delays go on growing', async () => {
    const { pool, factory, clock, reports } = poolOf({ min: 1 });
    pool.start();
    for (let i = 0; i < 5; i++) {
      await settled();
      for (const resource of factory.openResources) resource.lose('closed right after the hello');
      await clock.run(2_000, 50);
    }
    expect(reports.failures.map(({ retryInMs }) => retryInMs)).toEqual([100, 200, 400, 800, 1_000]);
    expect(factory.dials.length).toBe(6);
    pool.destroy();
  });

  it('does not include one whose resource lived for some time without a call', async () => {
    const { pool, factory, clock, reports } = await warmPoolOf({ min: 1, idleTimeoutMs: 0 });
    await clock.run(5_000);
    factory.openResources[0]?.lose();
    expect(pool.stats().connecting).toBe(1);
    expect(reports.failures).toEqual([]);
    pool.destroy();
  });

  it('begins with the first delay again after a success', async () => {
    const { pool, factory, clock, reports } = poolOf({ min: 1 }, new FakeFactory({ dialling: 'fails' }));
    pool.start();
    await clock.run(350, 50);
    expect(reports.failures.map(({ retryInMs }) => retryInMs)).toEqual([100, 200, 400]);
    factory.dialling = 'succeeds';
    await clock.run(400, 50);
    expect(pool.size).toBe(1);
    (await pool.acquire()).release();
    factory.dialling = 'fails';
    factory.dials.at(-1)?.resource.lose();
    await settled();
    expect(reports.failures.at(-1)).toMatchObject({ retryInMs: 100, attempt: 1 });
    pool.destroy();
  });

  it('includes one whose resource dies while it is handed over', async () => {
    const { pool, factory, reports } = poolOf({ min: 1 }, new FakeFactory());
    pool.start();
    const resource = factory.next.succeed();
    resource.lose('gone at once');
    await settled();
    expect(pool.stats()).toMatchObject({ total: 0, created: 0, dialFailures: 1 });
    expect(reports.failures[0]?.error).toBeInstanceOf(PooledTcpError);
    pool.destroy();
  });
});

describe('reuse', () => {
  it('takes the most recently used resource, so that surplus ages', async () => {
    const { pool } = await warmPoolOf({ min: 3 });
    const [a, b, c] = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
    const ids = [a, b, c].map(({ resource }) => resource.id);
    for (const lease of [b, c, a]) lease.release();
    expect((await pool.acquire()).resource.id).toBe(ids[0]);
    expect((await pool.acquire()).resource.id).toBe(ids[2]);
  });
});

describe('limits that change', () => {
  it('close idle resources above the new maximum at once, and others when they are released', async () => {
    const { pool, factory } = await warmPoolOf({ min: 4, max: 4 });
    const leases = [await pool.acquire(), await pool.acquire()];
    pool.setLimits({ min: 1, max: 1 });
    expect(pool.stats()).toMatchObject({ total: 2, idle: 0 });
    leases[0]?.release();
    expect(pool.stats()).toMatchObject({ total: 1, idle: 0 });
    leases[1]?.release();
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, closed: { surplus: 3 } });
    expect(factory.open).toBe(1);
  });

  it('take back dials above the new maximum', async () => {
    const all = poolOf({ min: 4, max: 4 }, new FakeFactory());
    all.pool.start();
    all.pool.setLimits({ min: 1, max: 1 });
    expect(all.pool.stats()).toMatchObject({ total: 0, connecting: 1 });
    await settled();
    expect(all.pool.stats().dialFailures).toBe(0);
    await expectNothingLeft(all);
  });

  it('dial for a new minimum', async () => {
    const { pool } = await warmPoolOf({ min: 1, max: 1 });
    pool.setLimits({ min: 3, max: 5 });
    await settled();
    expect(pool.size).toBe(3);
  });
});

describe('a server that is restarted', () => {
  const CLIENTS = 50;

  /** Pools of many clients, warm with four connections each, whose server has just dropped all of them. */
  async function fleet() {
    const clock = new StepClock();
    const all = await Promise.all(
      Array.from({ length: CLIENTS }, () =>
        warmPoolOf({ min: 4 }, new FakeFactory({ dialling: 'succeeds' }), { clock }),
      ),
    );
    await clock.run(10_000);
    for (const { factory } of all) {
      factory.dialling = 'by hand';
      for (const resource of factory.openResources) resource.lose();
    }
    const pending = (): number => all.reduce((sum, { factory }) => sum + factory.pending.size, 0);
    return { all, clock, pending };
  }

  it('is asked by one dial of each client, and by the rest once that has been answered', async () => {
    const { all, clock, pending } = await fleet();
    await settled();
    expect(pending()).toBe(CLIENTS);
    for (const { factory } of all) factory.next.succeed();
    await settled();
    expect(pending()).toBe(3 * CLIENTS);
    for (const { pool } of all) pool.destroy();
    expect(clock.pending).toBe(0);
  });

  it('is not asked by all clients at once while it is away', async () => {
    const clock = new StepClock();
    const random = seededRandom(1);
    const all = Array.from({ length: CLIENTS }, () =>
      poolOf({ min: 4 }, new FakeFactory({ dialling: 'fails' }), {
        clock,
        random,
        backoff: { initialMs: 100, maxMs: 30_000, factor: 1.6, jitter: 0.2 },
      }),
    );
    for (const { pool } of all) pool.start();
    const dials = (): number => all.reduce((sum, { factory }) => sum + factory.dials.length, 0);
    await clock.run(5_000, 50);
    let most = 0;
    for (let i = 0; i < 100; i++) {
      const before = dials();
      await clock.run(50);
      most = Math.max(most, dials() - before);
    }
    // One dial each in ten seconds or so, with a fifth of chance either way: never more than a fifth of them together.
    expect(most).toBeLessThan(CLIENTS / 5);
    expect(most).toBeGreaterThan(0);
    for (const { pool } of all) pool.destroy();
  });
});
