import { describe, expect, it } from '@jest/globals';
import { Client } from '../../lib/client/client.js';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../lib/client/settings.js';
import { Heartbeat } from '../../lib/connection/heartbeat.js';
import type { Transport } from '../../lib/connection/transport.js';
import { FakeFactory } from '../support/fake-factory.js';
import { RecordingLogger } from '../support/logs.js';
import { MemoryTransport } from '../support/memory-transport.js';
import { settled, StepClock } from '../support/step-clock.js';
import { SessionPeer } from './connection/session-peer.js';
import { expectNothingLeft, outcomeOf, poolOf, warmPoolOf } from './pool/pool-setup.js';

/** A client whose connections end in sessions over memory; each server end is kept. */
function clientOf(options: Partial<PooledTcpClientOptions> = {}, clock = new StepClock()) {
  const peer = new SessionPeer(clock);
  const serverEnds: MemoryTransport[] = [];
  const client = new Client(
    resolveClientOptions({
      endpoints: ['10.0.0.1:4000'],
      heartbeat: false,
      ...options,
      pool: { min: 0, max: 4, ...options.pool },
    }),
    { connected: () => undefined },
    {
      logger: new RecordingLogger(),
      clock,
      connector: (target): Promise<Transport> => {
        const [clientEnd, serverEnd] = peer.accept(target.address);
        serverEnds.push(serverEnd);
        return Promise.resolve(clientEnd);
      },
    },
  );
  return { client, clock, peer, serverEnds };
}

const message = (route: string) => ({ pattern: route, route, data: 1, metadata: undefined });

/** The races that pools are known for, each as it was reported somewhere once. */
describe('a known race does not happen:', () => {
  it('a wake-up lost because a dial was elided', async () => {
    const setup = poolOf({ max: 1 });
    const first = await setup.pool.acquire();
    const second = outcomeOf(setup.pool.acquire());
    const third = outcomeOf(setup.pool.acquire());
    first.release();
    await settled();
    expect([second.isSettled, third.isSettled]).toEqual([true, false]);
    second.value?.release();
    await settled();
    expect(third.isSettled).toBe(true);
    await expectNothingLeft(setup);
  });

  it('a connection orphaned by an abort during its validation', async () => {
    const setup = await warmPoolOf({ min: 1, max: 1 }, new FakeFactory({ validates: true, dialling: 'succeeds' }));
    setup.clock.advance(1_000);
    const abort = new AbortController();
    const given = outcomeOf(setup.pool.acquire({ signal: abort.signal }));
    abort.abort();
    setup.factory.validations[0]?.pass();
    await settled();
    expect(given.error).toMatchObject({ code: 'PTCP_ABORTED' });
    expect(setup.pool.stats()).toMatchObject({ total: 1, idle: 1 });
    (await setup.pool.acquire()).release();
    await expectNothingLeft(setup);
  });

  it('capacity lost to a validation that rejects', async () => {
    const setup = await warmPoolOf({ min: 1, max: 1 }, new FakeFactory({ validates: true, dialling: 'succeeds' }));
    setup.clock.advance(1_000);
    const given = outcomeOf(setup.pool.acquire());
    setup.factory.validations[0]?.fail();
    await settled();
    expect(given.value?.resource.id).toBe(2);
    expect(setup.pool.stats()).toMatchObject({ total: 1, closed: { invalid: 1 } });
    await expectNothingLeft(setup);
  });

  it('a connection that comes in late, after its dial was given up, and exceeds max', async () => {
    const setup = poolOf({ max: 2 }, new FakeFactory());
    const given = [outcomeOf(setup.pool.acquire()), outcomeOf(setup.pool.acquire())];
    // Both connections are open, and on their way to the pool, when it has room for one only.
    for (const dial of setup.factory.dials) dial.succeed();
    setup.pool.setLimits({ min: 0, max: 1 });
    await settled();
    expect(setup.factory.reasons).toEqual(['shutdown']);
    expect(setup.pool.stats().total).toBe(1);
    expect(setup.factory.open).toBe(1);
    expect(given.filter(({ isSettled }) => isSettled)).toHaveLength(1);
    await expectNothingLeft(setup);
  });

  it('growth blocked by a login that is stuck', async () => {
    const setup = poolOf({ max: 4 }, new FakeFactory());
    const given = [outcomeOf(setup.pool.acquire()), outcomeOf(setup.pool.acquire())];
    // The first dial hangs; the second is a dial of its own, and whoever waits longest gets it.
    setup.factory.dials[1]?.succeed();
    await settled();
    expect(given.map(({ isSettled }) => isSettled)).toEqual([true, false]);
    given.push(outcomeOf(setup.pool.acquire()));
    expect(setup.factory.dials).toHaveLength(3);
    await expectNothingLeft(setup);
  });

  it('counters that drift when a connection dies in each of its states', async () => {
    const setup = await warmPoolOf({ min: 0, max: 4 }, new FakeFactory({ validates: true, dialling: 'succeeds' }));
    const leases = await Promise.all([1, 2, 3].map(() => setup.pool.acquire()));
    leases[0]?.resource.lose();
    leases[1]?.release();
    leases[2]?.release();
    setup.clock.advance(1_000);
    const given = outcomeOf(setup.pool.acquire());
    setup.factory.validations.at(-1)?.resource.lose();
    for (const resource of setup.factory.openResources) resource.lose();
    await settled();
    leases[0]?.release();
    expect(setup.pool.stats()).toMatchObject({ total: 1, idle: 0, active: 1, inFlight: 1, closed: { lost: 3 } });
    given.value?.release();
    expect(setup.pool.stats()).toMatchObject({ total: 1, idle: 1, active: 0, inFlight: 0 });
    await expectNothingLeft(setup);
  });

  it('an expired connection that is still counted, so that its place stays empty', async () => {
    const setup = await warmPoolOf({ min: 1, max: 1, maxLifetimeMs: 10_000 });
    const lease = await setup.pool.acquire();
    setup.clock.advance(10_001);
    const next = outcomeOf(setup.pool.acquire());
    lease.release();
    await settled();
    expect(next.value?.resource.id).toBe(2);
    expect(setup.factory.reasons).toEqual(['lifetime']);
    await expectNothingLeft(setup);
  });

  it('a connection with two owners after it was released twice', async () => {
    const setup = poolOf({ max: 1 });
    const lease = await setup.pool.acquire();
    lease.release();
    const owner = await setup.pool.acquire();
    expect(() => {
      lease.release();
    }).toThrow('released again');
    const other = outcomeOf(setup.pool.acquire());
    await settled();
    expect(other.isSettled).toBe(false);
    owner.release();
    await settled();
    expect(other.isSettled).toBe(true);
    await expectNothingLeft(setup);
  });

  it('a session on a lease that silently resumes on another connection', async () => {
    const { client, clock, peer, serverEnds } = clientOf();
    const lease = await client.acquire({});
    const failures: unknown[] = [];
    const call = () =>
      lease.call(
        message('step'),
        {
          next: () => undefined,
          complete: () => undefined,
          handlerFailed: () => undefined,
          failed: (error) => failures.push(error.code),
        },
        { timeoutMs: 1_000 },
      );
    call();
    await settled();
    serverEnds[0]?.destroy();
    await settled();
    call();
    await settled();
    expect(failures).toEqual(['PTCP_CONNECTION_LOST', 'PTCP_CONNECTION_LOST']);
    expect(peer.calls).toHaveLength(1);
    lease.release();
    client.destroy();
    await settled();
    expect(clock.pending).toBe(0);
  });

  it('a hang when the peer ends the connection during the handshake', async () => {
    const clock = new StepClock();
    const ends: MemoryTransport[] = [];
    const client = new Client(
      resolveClientOptions({ endpoints: ['10.0.0.1:4000'], pool: { min: 1, prewarmTimeoutMs: 1_000 } }),
      { connected: () => undefined },
      {
        logger: new RecordingLogger(),
        clock,
        connector: () => {
          const [clientEnd, serverEnd] = MemoryTransport.pair();
          serverEnd.start({
            data: () => serverEnd.end(),
            drain: () => undefined,
            end: () => undefined,
            close: () => undefined,
          });
          ends.push(clientEnd);
          return Promise.resolve(clientEnd);
        },
      },
    );
    const connecting = outcomeOf(client.connect());
    await clock.run(1_000, 50);
    expect(connecting.error).toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      cause: { code: 'PTCP_HANDSHAKE_FAILED' },
    });
    expect(ends.length).toBeGreaterThan(1);
    expect(ends.slice(0, -1).every(({ isDestroyed }) => isDestroyed)).toBe(true);
    client.destroy();
    await settled();
    expect(clock.pending).toBe(0);
  });

  it('a timer orphaned by heartbeats that overlap', () => {
    const clock = new StepClock();
    let silences = 0;
    const heartbeat = new Heartbeat(
      clock,
      { intervalMs: 100, timeoutMs: 50, attempts: 1 },
      { ping: () => undefined, silent: () => silences++ },
    );
    heartbeat.start();
    void heartbeat.probe();
    clock.advance(100);
    void heartbeat.probe();
    expect(clock.pending).toBe(1);
    heartbeat.stop();
    expect(clock.pending).toBe(0);
    clock.advance(10_000);
    expect(silences).toBe(0);
  });

  it('an old connection whose late end takes down the new one', async () => {
    const { client, clock, peer, serverEnds } = clientOf({ pool: { max: 1 } });
    const replies: unknown[] = [];
    const call = () => {
      client.call(
        message('step'),
        {
          next: (value) => replies.push(value),
          complete: () => undefined,
          handlerFailed: () => undefined,
          failed: (error) => replies.push(error.code),
        },
        { timeoutMs: 60_000 },
      );
    };
    call();
    await settled();
    serverEnds[0]?.fail(new Error('ECONNRESET'));
    await settled();
    call();
    // It died before it had answered anything, so the next dial waits.
    await clock.run(200);
    // The events of the old socket come once more, after the new one is in use.
    serverEnds[0]?.destroy();
    await settled();
    peer.lastCall.respond('new');
    await settled();
    expect(replies).toEqual(['PTCP_CONNECTION_LOST', 'new']);
    expect(client.stats().total).toBe(1);
    client.destroy();
    await settled();
    expect(clock.pending).toBe(0);
  });

  it('a pool that never shrinks, because of heartbeats or of the order of use', async () => {
    const clock = new StepClock();
    const { client } = clientOf(
      {
        heartbeat: { intervalMs: 100, timeoutMs: 50 },
        pool: { min: 1, max: 4, idleTimeoutMs: 5_000, mode: 'exclusive' },
      },
      clock,
    );
    const leases = await Promise.all([1, 2, 3].map(() => client.acquire({})));
    for (const lease of leases) lease.release();
    expect(client.stats().total).toBe(3);
    // One caller at a time, all the while: it must always be the same connection that is kept busy.
    for (let i = 0; i < 60; i++) {
      const lease = await client.acquire({});
      await clock.run(100);
      lease.release();
    }
    expect(client.stats()).toMatchObject({ total: 1, closed: { idle: 2 } });
    client.destroy();
    await settled();
    expect(clock.pending).toBe(0);
  });
});
