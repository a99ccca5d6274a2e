import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { FakeFactory } from '../../support/fake-factory.js';
import { settled } from '../../support/step-clock.js';
import { expectNothingLeft, outcomeOf, poolOf, warmPoolOf } from './pool-setup.js';

describe('close()', () => {
  it('closes idle resources at once, refuses new callers and waits for those that are lent', async () => {
    const all = await warmPoolOf({ min: 2, idleTimeoutMs: 1_000, maxLifetimeMs: 10_000 });
    const lease = await all.pool.acquire();
    const closed = outcomeOf(all.pool.close());
    await settled();
    expect(all.pool.state).toBe('draining');
    expect(all.factory.reasons).toEqual(['shutdown']);
    await expect(all.pool.acquire()).rejects.toMatchObject({
      code: 'PTCP_POOL_CLOSED',
      message: expect.stringContaining('draining'),
    });
    expect(all.pool.tryAcquire()).toBeUndefined();
    expect(closed.isSettled).toBe(false);
    lease.release();
    await settled();
    expect(closed).toEqual({ isSettled: true });
    expect(all.pool.state).toBe('closed');
    await expectNothingLeft(all);
  });

  it('serves those who wait, in order', async () => {
    const all = await warmPoolOf({ min: 1, max: 1 });
    const held = await all.pool.acquire();
    const waiters = [outcomeOf(all.pool.acquire()), outcomeOf(all.pool.acquire())];
    const closed = outcomeOf(all.pool.close());
    held.release();
    await settled();
    waiters[0]?.value?.release();
    await settled();
    expect(closed.isSettled).toBe(false);
    waiters[1]?.value?.release();
    await settled();
    expect(closed).toEqual({ isSettled: true });
    await expectNothingLeft(all);
  });

  it('still dials for those who wait', async () => {
    const all = poolOf({ max: 1 }, new FakeFactory({ dialling: 'fails' }));
    const waiter = outcomeOf(all.pool.acquire());
    await settled();
    const closed = outcomeOf(all.pool.close());
    all.factory.dialling = 'succeeds';
    await all.clock.run(100);
    waiter.value?.release();
    await settled();
    expect(closed).toEqual({ isSettled: true });
    await expectNothingLeft(all);
  });

  it('ends when the last who waits gives up', async () => {
    const all = poolOf({ acquireTimeoutMs: 500 }, new FakeFactory());
    const waiter = outcomeOf(all.pool.acquire());
    const closed = outcomeOf(all.pool.close());
    await all.clock.run(500);
    expect(waiter.error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT' });
    expect(closed).toEqual({ isSettled: true });
    await expectNothingLeft(all);
  });

  it('takes back dials nobody waits for, and counts them as no failures', async () => {
    const all = poolOf({ min: 2 }, new FakeFactory());
    all.pool.start();
    const [first, second] = all.factory.dials;
    const closed = outcomeOf(all.pool.close());
    await settled();
    expect([first?.signal.aborted, second?.signal.aborted]).toEqual([true, true]);
    expect(closed).toEqual({ isSettled: true });
    expect(all.reports.failures).toEqual([]);
    expect(all.pool.stats().dialFailures).toBe(0);
    await expectNothingLeft(all);
  });

  it('ends when the last resource that is lent is lost', async () => {
    const { pool } = await warmPoolOf({ min: 1 });
    const lease = await pool.acquire();
    const closed = outcomeOf(pool.close());
    lease.resource.lose();
    await settled();
    expect(closed).toEqual({ isSettled: true });
    lease.release();
    expect(pool.stats()).toMatchObject({ total: 0, inFlight: 0 });
  });

  it('waits for a validation under way', async () => {
    const all = await warmPoolOf({ min: 1, max: 1 }, new FakeFactory({ validates: true, dialling: 'succeeds' }));
    all.clock.advance(10_000);
    const waiter = outcomeOf(all.pool.acquire());
    const closed = outcomeOf(all.pool.close());
    all.factory.validations[0]?.pass();
    await settled();
    waiter.value?.release();
    await settled();
    expect(closed).toEqual({ isSettled: true });
    await expectNothingLeft(all);
  });

  it('is joined by later callers, also after destroy()', async () => {
    const { pool } = await warmPoolOf({ min: 1 });
    const lease = await pool.acquire();
    const first = outcomeOf(pool.close());
    const second = outcomeOf(pool.close());
    pool.destroy();
    await settled();
    expect([first, second, outcomeOf(pool.close())].map(({ error }) => error)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(first.isSettled && second.isSettled).toBe(true);
    lease.release();
  });

  it('of a pool that was never used ends at once', async () => {
    const all = poolOf({ min: 2 });
    await all.pool.close();
    expect(all.factory.dials).toHaveLength(0);
    await expectNothingLeft(all);
  });
});

describe('destroy()', () => {
  it('refuses those who wait, aborts dials and closes every resource, lent ones too', async () => {
    const all = poolOf({ max: 2 });
    const lease = await all.pool.acquire();
    all.factory.dialling = 'by hand';
    const waiter = outcomeOf(all.pool.acquire());
    const [, dial] = all.factory.dials;
    all.pool.destroy();
    await settled();
    expect(waiter.error).toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    expect(waiter.error).toBeInstanceOf(PooledTcpError);
    expect(dial?.signal.aborted).toBe(true);
    expect(all.factory.reasons).toEqual(['shutdown']);
    lease.release();
    expect(all.pool.stats().inFlight).toBe(0);
    await expectNothingLeft(all);
  });

  it('destroys a resource whose dial did not heed the abort', async () => {
    const all = poolOf({ min: 1 }, new FakeFactory());
    all.pool.start();
    const dial = all.factory.next;
    dial.succeed();
    all.pool.destroy();
    await settled();
    expect(all.factory.destroyed).toEqual([{ id: 1, reason: 'shutdown' }]);
    expect(all.pool.stats()).toMatchObject({ created: 0, closed: { shutdown: 0 } });
    await expectNothingLeft(all);
  });

  it('leaves nothing running after a resource died while its dial was being taken back', async () => {
    const all = poolOf({ min: 1 }, new FakeFactory());
    all.pool.start();
    const resource = all.factory.next.succeed();
    resource.lose();
    all.pool.destroy();
    await settled();
    expect(all.reports.failures).toEqual([]);
    await expectNothingLeft(all);
  });

  it('lets nobody in any more, and may be repeated', async () => {
    const { pool } = await warmPoolOf({ min: 1 });
    pool.destroy();
    pool.destroy();
    pool.resume();
    pool.start();
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    expect(pool.state).toBe('closed');
  });
});
