import { describe, expect, it } from '@jest/globals';
import type { Delivered, SubscriptionPlan } from '../../../lib/client/push-subscription.js';
import type { ServerCall } from '../../../lib/server/server-call.js';
import { describeCause } from '../../../lib/errors/pooled-tcp-error.js';
import { settled } from '../../support/step-clock.js';
import { connectedClientOf, message } from './client-setup.js';

type Setup = Awaited<ReturnType<typeof connectedClientOf>>;

/** A subscription to `q`; what its subscriber hears, and the calls that it makes. */
function subscribe({ client }: Pick<Setup, 'client'>, plan: Partial<SubscriptionPlan> = {}) {
  const heard: unknown[] = [];
  const cancel = client.subscribe(
    {
      route: 'q',
      request: (last: Delivered | undefined) => message('subscribe', { after: last?.data }),
      farewell: () => undefined,
      isNewer: undefined,
      timeoutMs: 1_000,
      key: undefined,
      ...plan,
    },
    {
      next: (data) => heard.push(data),
      opened: (reply, peer) => heard.push(`opened ${String(reply)} at ${peer}`),
      failed: (error) => heard.push(`failed: ${describeCause(error)}`),
      handlerFailed: (error) => heard.push(`handler failed: ${describeCause(error)}`),
      complete: () => heard.push('complete'),
    },
  );
  return { heard, cancel };
}

/** The last call that a server got. */
const lastAt = ({ at }: Pick<Setup, 'at'>, address = 'a:1'): ServerCall => at(address).lastCall;

async function opened(options: Parameters<typeof connectedClientOf>[0] = {}) {
  const all = await connectedClientOf(options);
  const { heard, cancel } = subscribe(all);
  await settled();
  const call = lastAt(all);
  call.respond('ok');
  await settled();
  return { ...all, heard, cancel, call };
}

describe('a subscription', () => {
  it('is opened by a request, and delivers what comes over the same connection', async () => {
    const { heard, call, at } = await opened({ pool: { min: 2, max: 2 } });
    expect(call).toMatchObject({ pattern: 'subscribe', data: {} });
    const other = at('a:1').sessions.find((session) => session !== call.session);
    other?.push('q', 'over another connection');
    call.session.push('other', 'with another pattern');
    call.session.push('q', 1);
    await settled();
    expect(heard).toEqual(['opened ok at a:1', 1]);
  });

  it('delivers what comes before the reply, too', async () => {
    const all = await connectedClientOf();
    const { heard } = subscribe(all);
    await settled();
    const call = lastAt(all);
    call.session.push('q', 1);
    call.respond('ok');
    await settled();
    expect(heard).toEqual([1, 'opened ok at a:1']);
  });

  it('leaves the connection to others meanwhile', async () => {
    const { ask, at, client, call } = await opened({ pool: { min: 1, max: 1 } });
    const { replies } = ask('beside');
    await settled();
    expect(at('a:1').lastCall.session).toBe(call.session);
    at('a:1').lastCall.respond(2);
    await settled();
    expect(replies.heard).toEqual(['next 2', 'complete']);
    expect(client.stats()).toMatchObject({ total: 1, inFlight: 1 });
  });

  it('holds nothing any more when it is cancelled, and says so where it is told how', async () => {
    const all = await connectedClientOf();
    const { heard, cancel } = subscribe(all, { farewell: (last) => message('bye', last?.data) });
    await settled();
    const { session } = lastAt(all);
    lastAt(all).respond('ok');
    session.push('q', 7);
    await settled();
    cancel();
    cancel();
    session.push('q', 8);
    await settled();
    expect(heard).toEqual(['opened ok at a:1', 7]);
    expect(all.at('a:1').events).toEqual([{ pattern: 'bye', data: 7 }]);
    expect(all.client.stats()).toMatchObject({ inFlight: 0, idle: 1 });
  });

  it('that is cancelled while it waits, opens or rests leaves nothing', async () => {
    const all = await connectedClientOf({ pool: { min: 1, max: 1, acquireTimeoutMs: 500 } });
    const opening = subscribe(all);
    await settled();
    opening.cancel();
    await settled();
    expect(lastAt(all).signal.aborted).toBe(true);
    all.refusing.add('a:1');
    all.cut('a:1');
    await settled();
    const waiting = subscribe(all);
    const resting = subscribe(all);
    await settled();
    waiting.cancel();
    await all.clock.run(600, 100);
    resting.cancel();
    expect(all.logger.at('warn').join()).toMatch(/the subscription to 'q' is interrupted: .*PTCP_ACQUIRE_TIMEOUT/);
    all.client.destroy();
    await settled();
    expect(all.clock.pending).toBe(0);
    expect([...opening.heard, ...waiting.heard, ...resting.heard]).toEqual([]);
  });
});

describe('a subscription whose connection dies', () => {
  it('is opened again from the last push that was delivered', async () => {
    const { heard, call, cut, clock, at } = await opened();
    call.session.push('q', 1);
    call.session.push('q', 2);
    await settled();
    cut('a:1');
    await clock.run(200, 10);
    const again = at('a:1').lastCall;
    expect(again).not.toBe(call);
    expect(again.data).toEqual({ after: 2 });
    again.session.push('q', 3);
    again.respond('again');
    await settled();
    expect(heard).toEqual(['opened ok at a:1', 1, 2, 3, 'opened again at a:1']);
  });

  it('goes to another server where its own is gone', async () => {
    const all = await connectedClientOf({ endpoints: ['a:1', 'b:1'], balancer: 'round-robin' });
    const { heard } = subscribe(all);
    await settled();
    const first = all.at('a:1').calls.length > 0 ? 'a:1' : 'b:1';
    const second = first === 'a:1' ? 'b:1' : 'a:1';
    lastAt(all, first).respond('ok');
    await settled();
    all.refusing.add(first);
    all.cut(first);
    await all.clock.run(200, 10);
    lastAt(all, second).respond('again');
    await settled();
    expect(heard).toEqual([`opened ok at ${first}`, `opened again at ${second}`]);
    expect(all.logger.at('warn').join()).toContain("the subscription to 'q' is interrupted");
    expect(all.logger.at('log').join()).toContain(`the subscription to 'q' goes on at ${second}`);
  });

  it('tries again for as long as it takes, at growing distances, and warns once', async () => {
    const all = await opened({ pool: { acquireTimeoutMs: 100 }, backoff: { jitter: 0, initialMs: 100, maxMs: 1_000 } });
    all.refusing.add('a:1');
    all.cut('a:1');
    await all.clock.run(20_000, 50);
    expect(all.heard).toEqual(['opened ok at a:1']);
    const about = all.logger.at('warn').filter((line) => line.includes("subscription to 'q'"));
    expect(about).toHaveLength(1);
    all.refusing.clear();
    await all.clock.run(5_000, 50);
    lastAt(all).respond('at last');
    await settled();
    expect(all.heard).toEqual(['opened ok at a:1', 'opened at last at a:1']);
  });

  it('drops what it has delivered already, where it is said how to compare', async () => {
    const all = await connectedClientOf();
    const { heard } = subscribe(all, { isNewer: (push, last) => (push as number) > (last as number) });
    await settled();
    const { session } = lastAt(all);
    lastAt(all).respond('ok');
    for (const n of [1, 2, 2, 1, 3]) session.push('q', n);
    await settled();
    all.cut('a:1');
    await all.clock.run(200, 10);
    for (const n of [2, 3, 4]) lastAt(all).session.push('q', n);
    await settled();
    expect(heard.filter((it) => typeof it === 'number')).toEqual([1, 2, 3, 4]);
  });
});

describe('a subscription whose connection is about to be closed', () => {
  it('moves when the server says goodbye, and hears nothing more of the old one', async () => {
    const { heard, call, clock, at, ask } = await opened({ pool: { min: 2, max: 2 } });
    call.session.push('q', 1);
    // Calls that hold the connection open while it drains.
    for (let i = 0; i < 4; i++) ask('slow');
    await settled();
    call.session.drain();
    await clock.run(50, 10);
    const again = at('a:1').lastCall;
    expect(again.session).not.toBe(call.session);
    expect(again.data).toEqual({ after: 1 });
    again.respond('moved');
    await settled();
    expect(call.session.isOpen).toBe(true);
    call.session.push('q', 'of the old');
    again.session.push('q', 2);
    await settled();
    expect(heard).toEqual(['opened ok at a:1', 1, 'opened moved at a:1', 2]);
  });

  it.each([
    ['its lifetime is over', { pool: { min: 1, max: 1, maxLifetimeMs: 5_000 } }, () => undefined],
    [
      'the pool is evicted',
      {},
      ({ client }: Setup) => {
        client.evict();
      },
    ],
  ])('moves when %s, so that it can be closed', async (_why, options, act) => {
    const all = await opened(options);
    act(all);
    // Up to a quarter of the lifetime is left to chance, and the request is not to wait for its answer too long.
    for (let ms = 0; ms < 6_000 && lastAt(all).session === all.call.session; ms += 50) await all.clock.run(50, 50);
    const again = lastAt(all);
    expect(again.session).not.toBe(all.call.session);
    again.respond('moved');
    await all.clock.run(500, 50);
    expect(all.call.session.isOpen).toBe(false);
    expect(all.heard).toEqual(['opened ok at a:1', 'opened moved at a:1']);
    expect(all.client.stats()).toMatchObject({ inFlight: 1 });
  });
});

describe('a subscription that cannot be opened', () => {
  it.each([
    [
      'the handler throws',
      (call: ServerCall) => {
        call.fail('no such symbol');
      },
      'handler failed: no such symbol',
    ],
    [
      'there is no handler',
      (call: ServerCall) => {
        call.refuse('no-handler', 'nobody');
      },
      'failed: request',
    ],
  ])('ends when %s: it would again', async (_why, answer, expected) => {
    const all = await connectedClientOf();
    const { heard } = subscribe(all);
    await settled();
    answer(lastAt(all));
    await all.clock.run(5_000, 100);
    expect(heard).toEqual([expect.stringContaining(expected)]);
    expect(all.at('a:1').calls).toHaveLength(1);
    expect(all.client.stats().inFlight).toBe(0);
  });

  it('ends when its data cannot be made', async () => {
    const all = await connectedClientOf();
    const { heard } = subscribe(all, {
      request: () => {
        throw new Error('no position');
      },
    });
    await settled();
    expect(heard).toEqual(['failed: no position']);
    expect(all.client.stats().inFlight).toBe(0);
  });

  it('tries again when no reply came, or the server was overloaded', async () => {
    const all = await connectedClientOf();
    const { heard } = subscribe(all);
    await all.clock.run(1_200, 100);
    expect(all.at('a:1').calls).toHaveLength(2);
    lastAt(all).refuse('overloaded', 'later');
    await all.clock.run(1_000, 10);
    lastAt(all).respond('ok');
    await settled();
    expect(heard).toEqual(['opened ok at a:1']);
  });
});

describe('subscriptions of a client that closes', () => {
  it('complete at once and hold up no drain', async () => {
    const { client, heard, clock } = await opened();
    await client.close();
    await settled();
    expect(heard).toEqual(['opened ok at a:1', 'complete']);
    expect(clock.pending).toBe(0);
  });

  it('that rest before another attempt leave no timer when it is destroyed', async () => {
    const all = await opened({
      pool: { acquireTimeoutMs: 100 },
      backoff: { jitter: 0, initialMs: 5_000, maxMs: 5_000 },
    });
    all.refusing.add('a:1');
    all.cut('a:1');
    await all.clock.run(1_000, 50);
    all.client.destroy();
    await settled();
    expect(all.heard).toEqual(['opened ok at a:1', 'complete']);
    expect(all.clock.pending).toBe(0);
  });

  it('complete when it is destroyed', async () => {
    const { client, heard } = await opened();
    client.destroy();
    await settled();
    expect(heard).toEqual(['opened ok at a:1', 'complete']);
    const late = subscribe({ client });
    await settled();
    expect(late.heard).toEqual(['complete']);
  });
});
