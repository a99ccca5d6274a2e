import { describe, expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { WaitQueue } from '../../../lib/pool/wait-queue.js';
import { FakeFactory, type FakeResource } from '../../support/fake-factory.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { expectNothingLeft, outcomeOf, poolOf, warmPoolOf } from './pool-setup.js';

describe('waiting', () => {
  it('ends with whichever resource frees first, and not with one particular dial', async () => {
    const { pool, factory } = await warmPoolOf({ min: 1, max: 3 });
    const held = await pool.acquire();
    factory.dialling = 'by hand';
    const waiters = [outcomeOf(pool.acquire()), outcomeOf(pool.acquire())];
    held.release();
    await settled();
    expect(waiters[0]?.value?.resource.id).toBe(1);
    const [, second] = factory.pending;
    second?.succeed();
    await settled();
    expect(waiters[1]?.value?.resource.id).toBe(3);
    pool.destroy();
  });

  it('is in line', async () => {
    const all = await warmPoolOf({ min: 1, max: 1 });
    const order: number[] = [];
    const held = await all.pool.acquire();
    for (let i = 0; i < 5; i++) {
      void all.pool.acquire().then((lease) => {
        order.push(i);
        lease.release();
      });
    }
    // Nobody gets past those who wait.
    expect(all.pool.tryAcquire()).toBeUndefined();
    held.release();
    await settled();
    expect(order).toEqual([0, 1, 2, 3, 4]);
    await expectNothingLeft(all);
  });

  it('ends at the deadline, with the counts and the last failed dial in the error', async () => {
    const all = poolOf({ max: 2, acquireTimeoutMs: 1_000 });
    const held = await all.pool.acquire();
    all.factory.dialling = 'fails';
    const waiter = outcomeOf(all.pool.acquire());
    await all.clock.run(999, 111);
    expect(waiter.isSettled).toBe(false);
    await all.clock.run(1);
    const error = waiter.error as PooledTcpError;
    expect(error).toBeInstanceOf(PooledTcpError);
    expect(error).toMatchObject({
      code: 'PTCP_ACQUIRE_TIMEOUT',
      sent: false,
      elapsedMs: 1_000,
      cause: expect.objectContaining({ message: 'connection refused' }),
    });
    expect(error.message).toContain('10.0.0.1:4000');
    expect(error.message).toContain('1000 ms');
    expect(error.message).toContain('total 1, idle 0, active 1, connecting 0, waiting');
    expect(error.message).toMatch(/the last dial failed \d+ ms ago: connection refused/);
    expect(all.pool.stats()).toMatchObject({ waiting: 0, acquireTimeouts: 1 });
    held.release();
    await expectNothingLeft(all);
  });

  it('ends for each at its own deadline, shorter ones behind longer ones too', async () => {
    const { pool, clock } = poolOf({}, new FakeFactory());
    const [long, short, middle] = [3_000, 500, 1_000].map((timeoutMs) => outcomeOf(pool.acquire({ timeoutMs })));
    const settledNow = (): unknown[] => [long, short, middle].map((outcome) => outcome?.isSettled);
    await clock.run(500);
    expect(settledNow()).toEqual([false, true, false]);
    await clock.run(500);
    expect(settledNow()).toEqual([false, true, true]);
    await clock.run(2_000);
    expect(settledNow()).toEqual([true, true, true]);
    pool.destroy();
  });

  it('ends when the caller’s signal fires, with its reason', async () => {
    const all = poolOf({}, new FakeFactory());
    const abort = new AbortController();
    const waiter = outcomeOf(all.pool.acquire({ signal: abort.signal }));
    const other = outcomeOf(all.pool.acquire());
    all.clock.advance(20);
    abort.abort(new Error('changed my mind'));
    await settled();
    expect(waiter.error).toMatchObject({ code: 'PTCP_ABORTED', elapsedMs: 20, cause: new Error('changed my mind') });
    all.factory.next.succeed();
    await settled();
    expect(other.value?.resource.id).toBe(1);
    await expectNothingLeft(all);
  });

  it('does not begin when the signal has fired', async () => {
    const { pool, factory } = poolOf();
    await expect(pool.acquire({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'PTCP_ABORTED' });
    expect(factory.dials).toHaveLength(0);
  });

  it('is no longer tied to the signal once it has ended', async () => {
    const { pool } = await warmPoolOf({ min: 1, max: 1 });
    const abort = new AbortController();
    const held = await pool.acquire();
    const waiter = outcomeOf(pool.acquire({ signal: abort.signal }));
    held.release();
    await settled();
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
    abort.abort();
    expect(waiter.value?.state).toBe('held');
    expect(pool.stats()).toMatchObject({ active: 1, waiting: 0 });
  });

  it('is refused at once beyond maxWaiters', async () => {
    const { pool } = poolOf({ maxWaiters: 2 }, new FakeFactory());
    outcomeOf(pool.acquire());
    outcomeOf(pool.acquire());
    await expect(pool.acquire()).rejects.toMatchObject({
      code: 'PTCP_POOL_EXHAUSTED',
      message: expect.stringContaining('2 callers already wait'),
    });
    pool.destroy();
  });

  it('is not refused to a burst that finds open connections silent, as far as their slots go', async () => {
    const all = await warmPoolOf(
      { mode: 'shared', min: 2, max: 2, maxInFlight: 100, maxWaiters: 3 },
      new FakeFactory({ validates: true, dialling: 'succeeds' }),
    );
    all.clock.advance(1_000);
    const burst = Array.from({ length: 203 }, () => outcomeOf(all.pool.acquire()));
    await expect(all.pool.acquire()).rejects.toMatchObject({ code: 'PTCP_POOL_EXHAUSTED' });
    for (const validation of all.factory.validations) validation.pass();
    await settled();
    expect(burst.filter(({ value }) => value !== undefined)).toHaveLength(200);
    expect(all.pool.stats()).toMatchObject({ total: 2, inFlight: 200, waiting: 3 });
    await expectNothingLeft(all);
  });

  it('counts again once such a connection has not answered', async () => {
    const { pool, factory, clock } = await warmPoolOf(
      { mode: 'shared', min: 1, max: 1, maxWaiters: 0 },
      new FakeFactory({ validates: true, dialling: 'succeeds' }),
    );
    clock.advance(1_000);
    outcomeOf(pool.acquire());
    factory.dialling = 'by hand';
    factory.validations[0]?.fail();
    await settled();
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'PTCP_POOL_EXHAUSTED' });
    pool.destroy();
  });

  it('counts while the pool is suspended, whatever it has open', async () => {
    const { pool } = await warmPoolOf({ mode: 'shared', min: 1, maxWaiters: 1 });
    pool.suspend();
    outcomeOf(pool.acquire());
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'PTCP_POOL_EXHAUSTED' });
    pool.destroy();
  });

  it('of many ends once for each, whoever aborts, fails or is late', async () => {
    const all = poolOf({ max: 3, acquireTimeoutMs: 300 }, new FakeFactory());
    const settlements: string[] = [];
    for (let i = 0; i < 60; i++) {
      const abort = new AbortController();
      void all.pool.acquire({ signal: abort.signal }).then(
        (lease) => {
          settlements.push('lease');
          lease.release();
        },
        (error: unknown) => settlements.push((error as PooledTcpError).code),
      );
      if (i % 3 === 0) abort.abort();
    }
    all.factory.next.reject();
    await settled();
    all.factory.next.succeed();
    await all.clock.run(1_000, 50);
    expect(settlements).toHaveLength(60);
    expect(settlements.filter((code) => code === 'PTCP_ABORTED')).toHaveLength(20);
    expect(settlements.filter((code) => code === 'lease')).toHaveLength(40);
    await expectNothingLeft(all);
  });
});

describe('a pool that is suspended', () => {
  it('lets callers wait and dials nothing until it is resumed', async () => {
    const { pool, factory } = await warmPoolOf({ min: 1, max: 3 });
    pool.suspend();
    const waiters = [outcomeOf(pool.acquire()), outcomeOf(pool.acquire())];
    await settled();
    expect(pool.tryAcquire()).toBeUndefined();
    expect(factory.dials).toHaveLength(1);
    pool.resume();
    await settled();
    expect(waiters.map(({ isSettled }) => isSettled)).toEqual([true, true]);
    expect(pool.size).toBe(2);
  });

  it('still serves those who wait when it is closed', async () => {
    const { pool } = await warmPoolOf({ min: 1 });
    pool.suspend();
    const waiter = outcomeOf(pool.acquire());
    const closed = outcomeOf(pool.close());
    await settled();
    waiter.value?.release();
    await settled();
    expect(closed).toEqual({ isSettled: true });
  });

  it('is not relied on by the pools beside it, whatever it had under way', async () => {
    const clock = new StepClock();
    const queue = new WaitQueue<FakeResource>(clock);
    const suspended = poolOf({}, new FakeFactory(), { queue, clock });
    const open = poolOf({}, new FakeFactory({ dialling: 'succeeds' }), { queue, clock });
    open.pool.start();
    const waiter = outcomeOf(suspended.pool.acquire());
    expect(suspended.factory.pending.size).toBe(1);
    suspended.pool.suspend();
    await settled();
    expect(waiter.value?.resource).toBe(open.factory.dials[0]?.resource);
    expect(open.factory.dials).toHaveLength(1);
    suspended.pool.destroy();
    open.pool.destroy();
    expect(clock.pending).toBe(0);
  });
});
