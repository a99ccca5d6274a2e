import { describe, expect, it } from '@jest/globals';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import { thrownBy } from '../../support/bytes.js';
import { settled } from '../../support/step-clock.js';
import { connectedClientOf, teachLatencies } from './client-setup.js';

const A = 'a:1';
const B = 'b:2';
const DELAY_MS = 50;

/** A client of two servers that hedges, and a request that the first of them has not answered in time. */
async function hedgingOf(options: PooledTcpClientOptions = {}) {
  const all = await connectedClientOf({ endpoints: [A, B], hedge: { delayMs: DELAY_MS }, ...options });
  const calls = (): number[] => [A, B].map((address) => all.at(address).calls.length);
  const total = (): number => calls().reduce((sum, count) => sum + count);
  const hedged = async (callOptions: Parameters<typeof all.ask>[1] = {}) => {
    const asked = all.ask('sum', { idempotent: true, ...callOptions });
    await settled();
    const [first = '', second = ''] = all.at(A).calls.length === 1 ? [A, B] : [B, A];
    await all.clock.run(DELAY_MS);
    return { ...asked, first, second };
  };
  return { ...all, calls, total, hedged };
}

describe('a hedged request', () => {
  it('is made once when it is answered in time', async () => {
    const { ask, at, clock, client, calls, total } = await hedgingOf();
    const { replies } = ask('sum', { idempotent: true });
    await settled();
    await clock.run(DELAY_MS - 1);
    at(calls()[0] === 1 ? A : B).lastCall.respond(3);
    await settled();
    await clock.run(10_000, 100);
    expect(replies.heard).toEqual(['next 3', 'complete']);
    expect(total()).toBe(1);
    expect(client.stats()).toMatchObject({ requests: 1, hedged: 0, failures: 0 });
  });

  it('is made a second time at the other server when no answer comes, and not a third', async () => {
    const { client, clock, calls, hedged } = await hedgingOf();
    await hedged();
    expect(calls()).toEqual([1, 1]);
    await clock.run(5_000, 50);
    expect(calls()).toEqual([1, 1]);
    expect(client.stats()).toMatchObject({ requests: 1, hedged: 1, retries: 0, inFlight: 2 });
  });

  it('goes to the other server also where the first looks better by far', async () => {
    const all = await hedgingOf({ pool: { min: 2, validateAfterIdleMs: 60_000 } });
    await teachLatencies(all, { [A]: 1, [B]: 40 });
    const { at, hedged } = all;
    const { first } = await hedged();
    expect(first).toBe(A);
    expect([A, B].map((address) => at(address).calls.length)).toEqual([1, 1]);
  });

  it('goes to the one server there is where there is no other', async () => {
    const { at, ask, clock, client } = await connectedClientOf({ hedge: { delayMs: DELAY_MS } });
    const { replies } = ask('sum', { idempotent: true });
    await clock.run(DELAY_MS);
    expect(at(A).calls).toHaveLength(2);
    at(A).calls[1]?.respond(3);
    await settled();
    expect(replies.heard).toEqual(['next 3', 'complete']);
    expect(at(A).calls[0]?.signal.aborted).toBe(true);
    expect(client.stats()).toMatchObject({ hedged: 1, inFlight: 0, failures: 0 });
  });

  it.each([
    ['first', 'second'],
    ['second', 'first'],
  ] as const)('that the %s attempt answers cancels the %s at its server', async (winner, loser) => {
    const { at, client, hedged } = await hedgingOf();
    const { replies, ...place } = await hedged();
    const lost = at(place[loser]).lastCall;
    expect(lost.signal.aborted).toBe(false);
    at(place[winner]).lastCall.respond(winner);
    await settled();
    expect(replies.heard).toEqual([`next ${winner}`, 'complete']);
    expect(lost.signal.aborted).toBe(true);
    expect(lost.signal.reason).toMatchObject({ code: 'PTCP_ABORTED' });
    lost.respond('late');
    await settled();
    expect(replies.heard).toHaveLength(2);
    expect(client.stats()).toMatchObject({ requests: 1, hedged: 1, failures: 0, inFlight: 0 });
  });

  it('takes the error of a handler for an answer: the other would say the same', async () => {
    const { at, client, hedged } = await hedgingOf();
    const { replies, first, second } = await hedged();
    at(second).lastCall.fail('no such order');
    await settled();
    expect(replies.heard).toEqual(['handler failed no such order']);
    expect(at(first).lastCall.signal.aborted).toBe(true);
    expect(client.stats()).toMatchObject({ requests: 1, failures: 1, inFlight: 0 });
  });

  it.each([
    ['first', 'second'],
    ['second', 'first'],
  ] as const)('whose %s attempt fails waits for the %s', async (loser, winner) => {
    const { at, cut, client, hedged } = await hedgingOf({ retry: { attempts: 0 } });
    const { replies, ...place } = await hedged();
    cut(place[loser]);
    await settled();
    expect(replies.heard).toEqual([]);
    at(place[winner]).lastCall.respond(3);
    await settled();
    expect(replies.heard).toEqual(['next 3', 'complete']);
    expect(client.stats()).toMatchObject({ requests: 1, failures: 0, inFlight: 0 });
  });

  it.each([
    ['first', 'second'],
    ['second', 'first'],
  ] as const)('fails with the first’s error when both fail, the %s before the %s', async (early, late) => {
    const { cut, client, hedged } = await hedgingOf({ retry: { attempts: 0 } });
    const { replies, ...place } = await hedged();
    cut(place[early]);
    await settled();
    cut(place[late]);
    await settled();
    expect(replies.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true, peer: place.first });
    expect(replies.heard).toHaveLength(1);
    expect(client.stats()).toMatchObject({ requests: 1, failures: 1, inFlight: 0 });
  });

  it('that fails before the delay is over fails at once, and nothing is made again', async () => {
    const { ask, cut, clock, total, client } = await hedgingOf({ retry: { attempts: 0 } });
    const { replies } = ask('sum', { idempotent: true });
    await settled();
    for (const { peer, inFlight } of client.connections) if (inFlight > 0) cut(peer);
    await settled();
    expect(replies.heard).toEqual(['failed PTCP_CONNECTION_LOST']);
    await clock.run(1_000, 10);
    expect(total()).toBe(1);
    expect(client.stats()).toMatchObject({ requests: 1, hedged: 0, failures: 1 });
  });

  it('says that it may have run where that is true of the second attempt only', async () => {
    const { at, cut, client, hedged } = await hedgingOf({ retry: { attempts: 0 } });
    const { replies, first, second } = await hedged();
    cut(second);
    await settled();
    for (const address of [A, B]) {
      at(address).onCall = (call) => {
        call.refuse('overloaded', 'full');
      };
    }
    at(first).lastCall.refuse('overloaded', 'full');
    await settled();
    await settled();
    expect(replies.heard).toEqual(['failed PTCP_CONNECTION_LOST']);
    expect(replies.error).toMatchObject({ sent: true, peer: second });
    client.destroy();
  });

  it('has one time for both attempts', async () => {
    const { at, clock, hedged, client } = await hedgingOf();
    const { replies, first, second } = await hedged({ timeoutMs: 500 });
    await clock.run(449);
    expect(replies.heard).toEqual([]);
    await clock.run(1);
    expect(replies.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: true, elapsedMs: 500, peer: first });
    expect([first, second].map((address) => at(address).lastCall.signal.aborted)).toEqual([true, true]);
    expect(client.stats()).toMatchObject({ requests: 1, failures: 1, inFlight: 0 });
  });

  it('delivers the items of one attempt only: of whichever begins', async () => {
    const { at, hedged } = await hedgingOf();
    const { replies, first, second } = await hedged();
    const slow = at(first).lastCall;
    const quick = at(second).lastCall;
    quick.item('q1');
    await settled();
    slow.item('s1');
    expect(slow.signal.aborted).toBe(true);
    quick.item('q2');
    quick.complete();
    await settled();
    expect(replies.heard).toEqual(['next q1', 'next q2', 'complete']);
  });

  it('fails with the one that has begun to answer, whatever the other would say', async () => {
    const { at, cut, hedged, client } = await hedgingOf();
    const { replies, first, second } = await hedged();
    at(second).lastCall.item('q1');
    await settled();
    cut(second);
    await settled();
    expect(replies.heard).toEqual(['next q1', 'failed PTCP_CONNECTION_LOST']);
    expect(at(first).lastCall.signal.aborted).toBe(true);
    expect(client.stats()).toMatchObject({ requests: 1, failures: 1, retries: 0, inFlight: 0 });
  });

  it('that is cancelled cancels both', async () => {
    const { at, hedged, client } = await hedgingOf();
    const { replies, call, first, second } = await hedged();
    call.cancel();
    await settled();
    expect(replies.heard).toEqual([]);
    expect([first, second].map((address) => at(address).lastCall.signal.aborted)).toEqual([true, true]);
    expect(client.stats()).toMatchObject({ failures: 0, inFlight: 0 });
  });

  it('that is cancelled before the delay is over makes no second attempt', async () => {
    const { ask, clock, total, client } = await hedgingOf();
    const { call } = ask('sum', { idempotent: true });
    await settled();
    call.cancel();
    await clock.run(1_000, 10);
    expect(total()).toBe(1);
    expect(client.stats()).toMatchObject({ hedged: 0, inFlight: 0 });
  });

  it('that is aborted aborts both, and fails once', async () => {
    const { at, hedged, client } = await hedgingOf();
    const abort = new AbortController();
    const { replies, first, second } = await hedged({ signal: abort.signal });
    abort.abort(new Error('changed my mind'));
    await settled();
    expect(replies.heard).toEqual(['failed PTCP_ABORTED']);
    expect(replies.error).toMatchObject({ sent: true, cause: new Error('changed my mind') });
    expect([first, second].map((address) => at(address).lastCall.signal.aborted)).toEqual([true, true]);
    expect(client.stats()).toMatchObject({ failures: 1, inFlight: 0 });
  });

  it('leaves no timer behind', async () => {
    const { at, hedged, client, clock } = await hedgingOf();
    const { first } = await hedged();
    at(first).lastCall.respond(1);
    await settled();
    client.destroy();
    await settled();
    expect(clock.pending).toBe(0);
  });
});

describe('a second attempt is not made', () => {
  it.each([
    ['where the request is not marked idempotent', { idempotent: false }],
    ['for a request with a key', { idempotent: true, key: 'k' }],
    ['for data that is a stream', { idempotent: true, upload: { start: () => () => undefined } }],
  ])('%s', async (_, options) => {
    const { ask, clock, total, client } = await hedgingOf();
    ask('sum', options);
    await clock.run(5_000, 50);
    expect(total()).toBe(1);
    expect(client.stats().hedged).toBe(0);
  });

  it('when the budget is used up, and it takes from the same budget as retries', async () => {
    const { ask, clock, total, client } = await hedgingOf({
      retry: { budgetRatio: 0.25, budgetMinPerSecond: 0 },
      pool: { maxInFlight: 1_000 },
    });
    for (let i = 0; i < 3; i++) ask('sum', { idempotent: true });
    await clock.run(1_000, 10);
    expect([total(), client.stats().hedged]).toEqual([3, 0]);
    // The fourth pays the last quarter.
    ask('sum', { idempotent: true });
    await clock.run(1_000, 10);
    expect([total(), client.stats().hedged]).toEqual([5, 1]);
    client.destroy();
  });
});

describe('the options of hedge', () => {
  it('contradict retry: false, which leaves no budget', () => {
    const refusal = thrownBy(() => resolveClientOptions({ port: 1, hedge: true, retry: false }));
    expect(refusal).toMatchObject({ code: 'PTCP_OPTION_CONFLICT' });
    expect(refusal.message).toContain('retry');
    const settings = resolveClientOptions({ port: 1, hedge: true, retry: { attempts: 0 } });
    expect(settings).toMatchObject({ hedge: { delayMs: 100 }, retry: { attempts: 0 } });
  });

  it('are off unless asked for', async () => {
    expect(resolveClientOptions({ port: 1 }).hedge).toBe(false);
    const { ask, at, clock } = await connectedClientOf({ endpoints: [A, B] });
    ask('sum', { idempotent: true });
    await clock.run(5_000, 50);
    expect(at(A).calls.length + at(B).calls.length).toBe(1);
  });
});
