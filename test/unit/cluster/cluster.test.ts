import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { settled } from '../../support/step-clock.js';
import { outcomeOf } from '../pool/pool-setup.js';
import { A, B, clusterOf } from './cluster-setup.js';

describe('two endpoints', () => {
  it('share the load, the least loaded first', async () => {
    const { cluster } = clusterOf({ mode: 'shared' });
    await cluster.warm(1_000);
    for (let i = 0; i < 10; i++) cluster.tryAcquire();
    expect(cluster.stats().map(({ inFlight }) => inFlight)).toEqual([5, 5]);
  });

  it('serve one line: whichever has a free slot first serves the longest waiter', async () => {
    const { cluster, expectNothingLeft } = clusterOf();
    await cluster.warm(1_000);
    const held = [await cluster.acquire({}), await cluster.acquire({})];
    const waiters = [outcomeOf(cluster.acquire({})), outcomeOf(cluster.acquire({}))];
    await settled();
    const [first, second] = held.map(({ resource }) => resource);
    held[1]?.release();
    await settled();
    expect(waiters[0]?.value?.resource).toBe(second);
    held[0]?.release();
    await settled();
    expect(waiters[1]?.value?.resource).toBe(first);
    await expectNothingLeft();
  });

  it('hold nobody up when one of them is dead from the start', async () => {
    const { cluster, at, expectNothingLeft } = clusterOf();
    at(A).dialling = 'fails';
    const leases = [outcomeOf(cluster.acquire({})), outcomeOf(cluster.acquire({}))];
    await settled();
    const lease = leases.find(({ isSettled }) => isSettled)?.value;
    expect(lease).toBeDefined();
    lease?.release();
    await settled();
    expect(leases.map(({ error }) => error)).toEqual([undefined, undefined]);
    expect(leases.every(({ isSettled }) => isSettled)).toBe(true);
    expect(at(A).open).toBe(0);
    await expectNothingLeft();
  });

  it('hold nobody up when dials to one of them hang', async () => {
    const { cluster, at, expectNothingLeft } = clusterOf({ max: 2 });
    at(A).dialling = 'by hand';
    for (let i = 0; i < 4; i++) {
      const lease = await cluster.acquire({ timeoutMs: 1_000 });
      lease.release();
    }
    expect(at(A).open).toBe(0);
    await expectNothingLeft();
  });

  it('free what they keep for one who wants a whole resource when the other has served him', async () => {
    const { cluster, clock, expectNothingLeft } = clusterOf({ mode: 'shared' });
    await cluster.warm(1_000);
    const calls = Array.from({ length: 4 }, () => cluster.tryAcquire());
    const whole = outcomeOf(cluster.acquire({ whole: true }));
    await settled();
    const [call] = calls;
    const id = call?.resource;
    for (const lease of calls) if (lease?.resource === id) lease?.release();
    await settled();
    expect(whole.value?.resource).toBe(id);
    expect(cluster.tryAcquire()).toBeDefined();
    expect(cluster.waiting).toBe(0);
    expect(clock.pending).toBeGreaterThan(0);
    await expectNothingLeft();
  });
});

describe('endpoints that change', () => {
  it('add one, which is kept warm at once, and drain one without failing its calls', async () => {
    const { cluster, resolver, at, logger, expectNothingLeft } = clusterOf({}, [A]);
    await cluster.warm(1_000);
    const lease = await cluster.acquire({});
    resolver.listener?.update([B]);
    await settled();
    expect(at(B).open).toBe(1);
    expect(cluster.stats()).toMatchObject([
      { address: B, state: 'ready', total: 1 },
      { address: A, state: 'draining', total: 1, active: 1 },
    ]);
    expect(logger.at('log')).toEqual(["pool 'orders': a:1 left the set, draining"]);
    expect((await cluster.acquire({})).resource).toBe(at(B).dials[0]?.resource);
    lease.release();
    await settled();
    expect(cluster.stats().map(({ address }) => address)).toEqual([B]);
    expect(at(A).reasons).toEqual(['shutdown']);
    await expectNothingLeft();
  });

  it('leave the callers of one that is gone to those that stay', async () => {
    const { cluster, resolver, at, expectNothingLeft } = clusterOf({ min: 0 });
    at(A).dialling = 'by hand';
    at(B).dialling = 'by hand';
    const lease = outcomeOf(cluster.acquire({}));
    const [dialled, other] = at(A).dials.length > 0 ? [A, B] : [B, A];
    expect(at(dialled).dials).toHaveLength(1);
    at(other).dialling = 'succeeds';
    resolver.listener?.update([other]);
    await settled();
    expect(at(dialled).dials[0]?.signal.aborted).toBe(true);
    expect(at(other).dials).toHaveLength(1);
    expect(lease.value?.resource).toBe(at(other).dials[0]?.resource);
    await expectNothingLeft();
  });

  it('keep serving those who wait when the set becomes empty', async () => {
    const { cluster, resolver, expectNothingLeft } = clusterOf({}, [A]);
    const held = await cluster.acquire({});
    const waiter = outcomeOf(cluster.acquire({}));
    await settled();
    resolver.listener?.update([]);
    held.release();
    await settled();
    expect(waiter.value?.state).toBe('held');
    waiter.value?.release();
    await settled();
    expect(cluster.stats()).toEqual([]);
    await expectNothingLeft();
  });

  it('are ignored once the cluster is closed', async () => {
    const { cluster, resolver, at } = clusterOf({}, [A]);
    await cluster.warm(1_000);
    await cluster.close();
    expect(resolver.isStopped).toBe(true);
    resolver.listener?.update([B]);
    await settled();
    expect(at(B).dials).toHaveLength(0);
  });
});

describe('warm()', () => {
  it('waits for the minimum of every endpoint', async () => {
    const { cluster, at, connected } = clusterOf({ min: 2, max: 2 });
    at(B).dialling = 'by hand';
    const warm = outcomeOf(cluster.warm(1_000));
    await settled();
    expect(warm.isSettled).toBe(false);
    at(B).next.succeed();
    at(B).next.succeed();
    await settled();
    expect(warm).toEqual({ isSettled: true });
    expect(connected).toEqual([true]);
    cluster.destroy();
    expect(connected).toEqual([true, false]);
  });

  it('is content when some are warm and the others have failed', async () => {
    const { cluster, at, clock } = clusterOf();
    at(B).dialling = 'fails';
    await cluster.warm(1_000);
    expect(cluster.stats()).toMatchObject([{ state: 'ready' }, { state: 'failing', dialFailures: 1 }]);
    cluster.destroy();
    expect(clock.pending).toBe(0);
  });

  it('is content at the deadline when some are warm and the others still dial', async () => {
    const { cluster, at, clock } = clusterOf();
    at(B).dialling = 'by hand';
    const warm = outcomeOf(cluster.warm(1_000));
    await clock.run(999);
    expect(warm.isSettled).toBe(false);
    await clock.run(1);
    expect(warm).toEqual({ isSettled: true });
    cluster.destroy();
  });

  it('fails at the deadline when none is warm, with every reason', async () => {
    const { cluster, at, clock, expectNothingLeft } = clusterOf();
    at(A).dialling = 'by hand';
    at(B).dialling = 'by hand';
    const warm = outcomeOf(cluster.warm(90));
    at(A).next.reject(new PooledTcpError('PTCP_CONNECT_FAILED', 'a refuses'));
    at(B).next.reject(new PooledTcpError('PTCP_CONNECT_FAILED', 'b is unreachable'));
    await settled();
    await clock.run(90);
    expect(warm.error).toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      elapsedMs: 90,
      message: expect.stringMatching(/pool 'orders' .* within 90 ms: a refuses; b is unreachable/),
    });
    await expectNothingLeft();
  });

  it('recovers from failures before the deadline, and says so', async () => {
    const { cluster, at, clock, logger } = clusterOf({}, [A]);
    at(A).dialling = 'fails';
    const warm = outcomeOf(cluster.warm(5_000));
    await clock.run(300, 50);
    at(A).dialling = 'succeeds';
    await clock.run(400, 50);
    expect(warm).toEqual({ isSettled: true });
    expect(logger.at('warn')[0]).toContain('connection refused; attempt 1, the next in 100 ms');
    expect(logger.at('log')).toEqual(["pool 'orders': a:1 answers again"]);
    cluster.destroy();
  });

  it('waits for endpoints that are resolved later', async () => {
    const { cluster, resolver, expectNothingLeft } = clusterOf({}, []);
    const warm = outcomeOf(cluster.warm(1_000));
    await settled();
    resolver.listener?.update([A]);
    await settled();
    expect(warm).toEqual({ isSettled: true });
    await expectNothingLeft();
  });

  it('fails when the cluster is closed meanwhile', async () => {
    const { cluster, at, clock } = clusterOf({}, [A]);
    at(A).dialling = 'by hand';
    const warm = outcomeOf(cluster.warm(1_000));
    await cluster.close();
    await settled();
    expect(warm.error).toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    expect(clock.pending).toBe(0);
  });
});

describe('without endpoints', () => {
  it('an acquire fails with the resolver’s reason, within its time', async () => {
    const { cluster, resolver, clock, expectNothingLeft } = clusterOf({}, []);
    const lease = outcomeOf(cluster.acquire({ timeoutMs: 500 }));
    const cause = new Error('ENOTFOUND orders.local');
    resolver.listener?.error(cause);
    await clock.run(500);
    expect(lease.error).toMatchObject({
      code: 'PTCP_RESOLVE_FAILED',
      elapsedMs: 500,
      cause,
      message: expect.stringContaining('ENOTFOUND orders.local'),
    });
    await expectNothingLeft();
  });

  it('more callers than may wait are refused at once, and those who wait are counted', async () => {
    const { cluster, resolver, expectNothingLeft } = clusterOf({ max: 2, maxWaiters: 2 }, []);
    const early = [outcomeOf(cluster.acquire({})), outcomeOf(cluster.acquire({}))];
    resolver.listener?.error(new Error('ENOTFOUND orders.local'));
    await expect(cluster.acquire({})).rejects.toMatchObject({
      code: 'PTCP_POOL_EXHAUSTED',
      message: expect.stringContaining('ENOTFOUND orders.local'),
    });
    expect(cluster.waiting).toBe(2);
    resolver.listener?.update([A]);
    await settled();
    expect(early).toEqual([
      { value: expect.anything(), isSettled: true },
      { value: expect.anything(), isSettled: true },
    ]);
    expect(cluster.waiting).toBe(0);
    for (const { value } of early) value?.release();
    await expectNothingLeft();
  });

  it('an acquire waits for the first, on one budget for all of its waiting', async () => {
    const { cluster, resolver, clock, at, expectNothingLeft } = clusterOf({}, []);
    at(A).dialling = 'by hand';
    const lease = outcomeOf(cluster.acquire({ timeoutMs: 500 }));
    await clock.run(400);
    resolver.listener?.update([A]);
    await clock.run(99);
    expect(lease.isSettled).toBe(false);
    await clock.run(1);
    expect(lease.error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT' });
    await expectNothingLeft();
  });

  it('an acquire ends when its signal fires', async () => {
    const { cluster, clock, expectNothingLeft } = clusterOf({}, []);
    const abort = new AbortController();
    const lease = outcomeOf(cluster.acquire({ signal: abort.signal }));
    await settled();
    abort.abort(new Error('never mind'));
    await settled();
    expect(lease.error).toMatchObject({ code: 'PTCP_ABORTED', cause: new Error('never mind') });
    expect(clock.pending).toBe(0);
    await expectNothingLeft();
  });

  it('an acquire ends when the cluster is closed', async () => {
    const { cluster, clock } = clusterOf({}, []);
    const lease = outcomeOf(cluster.acquire({}));
    await cluster.close();
    await settled();
    expect(lease.error).toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    expect(clock.pending).toBe(0);
  });
});

describe('stats', () => {
  it('show each endpoint, frozen', async () => {
    const { cluster, at } = clusterOf({}, [A, B, 'c:3']);
    at(B).dialling = 'fails';
    at('c:3').dialling = 'by hand';
    cluster.start();
    await settled();
    const stats = cluster.stats();
    expect(stats).toMatchObject([
      { address: A, state: 'ready', total: 1, idle: 1, active: 0, connecting: 0, ejectedUntil: null },
      { address: B, state: 'failing', total: 0, dialFailures: 1 },
      { address: 'c:3', state: 'connecting', total: 0, connecting: 1 },
    ]);
    expect(Object.isFrozen(stats) && stats.every(Object.isFrozen)).toBe(true);
    cluster.destroy();
  });

  it('of a connection that is lost are corrected, with one line in the log', async () => {
    const { cluster, at, logger, connected } = clusterOf({}, [A]);
    await cluster.warm(1_000);
    at(A).dialling = 'fails';
    at(A).dials[0]?.resource.lose('reset by peer');
    await settled();
    expect(cluster.stats()).toMatchObject([{ total: 0, state: 'failing', closed: { lost: 1 } }]);
    expect(logger.at('warn')[0]).toBe("pool 'orders': lost a connection: reset by peer (PTCP_CONNECTION_LOST)");
    expect(connected).toEqual([true, false]);
    cluster.destroy();
  });
});

describe('close()', () => {
  it('serves those who wait, on every endpoint, and then ends', async () => {
    const { cluster, clock, expectNothingLeft } = clusterOf();
    const held = [await cluster.acquire({}), await cluster.acquire({})];
    const waiters = Array.from({ length: 3 }, () => outcomeOf(cluster.acquire({})));
    await settled();
    const closed = outcomeOf(cluster.close());
    await expect(cluster.acquire({})).rejects.toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    for (const lease of held) lease.release();
    await settled();
    for (let i = 0; i < 3; i++) {
      waiters[i]?.value?.release();
      await settled();
    }
    expect(waiters.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
    expect(closed).toEqual({ isSettled: true });
    expect(clock.pending).toBe(0);
    await expectNothingLeft();
  });

  it('serves one who waits on the endpoint that lives, also when that is the first to be told', async () => {
    for (const [alive, dead] of [
      [A, B],
      [B, A],
    ] as const) {
      const { cluster, at } = clusterOf({ min: 0 });
      at(dead).dialling = 'fails';
      at(alive).dialling = 'by hand';
      const lease = outcomeOf(cluster.acquire({}));
      await settled();
      const closed = outcomeOf(cluster.close());
      await settled();
      at(alive).next.succeed();
      await settled();
      expect(lease.value?.resource).toBe(at(alive).dials.at(-1)?.resource);
      lease.value?.release();
      await settled();
      expect(closed).toEqual({ isSettled: true });
    }
  });

  it('ends when the last who waits gives up, on every endpoint', async () => {
    const { cluster, at, clock } = clusterOf({ min: 0 });
    at(A).dialling = 'by hand';
    at(B).dialling = 'by hand';
    const lease = outcomeOf(cluster.acquire({ timeoutMs: 200 }));
    await settled();
    const closed = outcomeOf(cluster.close());
    await clock.run(200);
    expect(lease.error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT' });
    expect(closed).toEqual({ isSettled: true });
    expect(clock.pending).toBe(0);
  });
});

describe('destroy()', () => {
  it('refuses those who wait, once, and dials nothing more', async () => {
    const { cluster, at, expectNothingLeft } = clusterOf();
    const held = [await cluster.acquire({}), await cluster.acquire({})];
    const waiter = outcomeOf(cluster.acquire({}));
    await settled();
    const dials = at(A).dials.length + at(B).dials.length;
    cluster.destroy();
    await settled();
    expect(waiter.error).toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    expect(at(A).dials.length + at(B).dials.length).toBe(dials);
    for (const lease of held) lease.release();
    await expectNothingLeft();
    await cluster.close();
  });
});
