import { describe, expect, it } from '@jest/globals';
import type { PooledTcpClientOptions } from '../../../lib/client/settings.js';
import type { UploadSource } from '../../../lib/client/upload.js';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { settled } from '../../support/step-clock.js';
import { connectedClientOf, teachLatencies } from './client-setup.js';

const A = 'a:1';
const B = 'b:2';

/** A client of two servers, and which of them has how many calls. */
async function pairOf(options: PooledTcpClientOptions = {}) {
  const all = await connectedClientOf({ endpoints: [A, B], ...options });
  const calls = (): number[] => [A, B].map((address) => all.at(address).calls.length);
  /** The server that has the one call there is, and the other. */
  const placeOfCall = async (): Promise<[string, string]> => {
    await settled();
    return all.at(A).calls.length === 1 ? [A, B] : [B, A];
  };
  /** Neither can be reached any more; the one that has the call is lost last. */
  const loseAll = async (): Promise<void> => {
    const [first, second] = await placeOfCall();
    for (const address of [second, first]) {
      all.refusing.add(address);
      all.cut(address);
      await settled();
    }
  };
  return { ...all, calls, placeOfCall, loseAll };
}

/** A client of one server that loses every connection as soon as a call has come over it. */
async function losingOf(options: PooledTcpClientOptions = {}) {
  const all = await connectedClientOf({ backoff: { initialMs: 1, jitter: 0 }, ...options });
  all.at(A).onCall = () => {
    all.cut(A);
  };
  return all;
}

describe('an idempotent request that was lost after it was sent', () => {
  it('is sent again elsewhere, unnoticed by the caller', async () => {
    const { at, ask, cut, client, calls, placeOfCall } = await pairOf();
    const { replies } = ask('sum', { idempotent: true });
    const [first, second] = await placeOfCall();
    cut(first);
    await settled();
    expect(calls()).toEqual([1, 1]);
    expect(replies.heard).toEqual([]);
    at(second).lastCall.respond(3);
    await settled();
    expect(replies.heard).toEqual(['next 3', 'complete']);
    expect(client.stats()).toMatchObject({ requests: 1, retries: 1, failures: 0, inFlight: 0, waiting: 0 });
  });

  it('is sent again, too, where its reply broke off in the middle of a frame', async () => {
    const { at, ask, client, placeOfCall } = await pairOf();
    const { replies } = ask('sum', { idempotent: true });
    const [, second] = await placeOfCall();
    client.connections
      .find(({ inFlight }) => inFlight > 0)
      ?.destroy(new PooledTcpError('PTCP_FRAME_MALFORMED', 'the stream ended 3 bytes short of a whole frame'));
    await settled();
    at(second).lastCall.respond(3);
    await settled();
    expect(replies.heard).toEqual(['next 3', 'complete']);
    expect(client.stats()).toMatchObject({ requests: 1, retries: 1, failures: 0 });
  });

  it('goes to another server, although the first looks better by far and has connections left', async () => {
    const all = await pairOf({ pool: { min: 3, max: 3, validateAfterIdleMs: 60_000 } });
    await teachLatencies(all, { [A]: 1, [B]: 40 });
    const { ask, client, placeOfCall, calls } = all;
    const { replies } = ask('sum', { idempotent: true });
    await expect(placeOfCall()).resolves.toEqual([A, B]);
    client.connections
      .find(({ inFlight }) => inFlight > 0)
      ?.destroy(new PooledTcpError('PTCP_HEARTBEAT_TIMEOUT', 'silent'));
    await settled();
    expect(calls()).toEqual([1, 1]);
    expect(replies.heard).toEqual([]);
  });

  it.each([0, 1, 2, 6])('is sent again %i times at most', async (attempts) => {
    const { at, ask, clock, client } = await losingOf({ retry: { attempts } });
    const { replies } = ask('sum', { idempotent: true });
    await clock.run(5_000, 10);
    expect(at(A).calls).toHaveLength(attempts + 1);
    expect(replies.heard).toEqual(['failed PTCP_CONNECTION_LOST']);
    expect(replies.error).toMatchObject({ sent: true, peer: A });
    expect(client.stats()).toMatchObject({ requests: 1, retries: attempts, failures: 1, inFlight: 0 });
  });

  it.each([
    ['retry: false', { retry: false }],
    ['a budget of nothing', { retry: { budgetRatio: 0, budgetMinPerSecond: 0 } }],
  ] as const)('with %s fails with what it was lost for', async (_, options) => {
    const { ask, cut, client, calls, placeOfCall } = await pairOf(options);
    const { replies } = ask('sum', { idempotent: true });
    const [first] = await placeOfCall();
    cut(first);
    await settled();
    expect(replies.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true, peer: first });
    expect(calls().sort()).toEqual([0, 1]);
    expect(client.stats()).toMatchObject({ retries: 0, failures: 1 });
  });

  it('is sent again as long as the budget of all requests lasts, which ten seconds restore', async () => {
    const { at, ask, clock, client } = await losingOf({
      retry: { attempts: 1, budgetRatio: 0.5, budgetMinPerSecond: 0 },
    });
    const lostCalls = async (count: number): Promise<number> => {
      const before = client.stats().retries;
      for (let i = 0; i < count; i++) {
        const { replies } = ask('sum', { idempotent: true });
        await clock.run(200, 5);
        expect(replies.heard).toEqual(['failed PTCP_CONNECTION_LOST']);
      }
      return client.stats().retries - before;
    };
    expect(await lostCalls(8)).toBe(4);
    expect(at(A).calls).toHaveLength(12);
    await clock.run(20_000, 1_000);
    expect(await lostCalls(8)).toBe(4);
  });

  it('has the rest of its own time, and no more', async () => {
    const { at, ask, cut, clock, placeOfCall } = await pairOf();
    const { replies } = ask('sum', { idempotent: true, timeoutMs: 500 });
    const [first, second] = await placeOfCall();
    await clock.run(400);
    cut(first);
    await settled();
    const again = at(second).lastCall;
    await clock.run(99);
    expect(replies.heard).toEqual([]);
    await clock.run(1);
    expect(replies.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: true, elapsedMs: 500, peer: second });
    expect(again.signal.aborted).toBe(true);
  });

  it('that finds no connection any more fails in its time, and still says that it may have run', async () => {
    const { ask, clock, client, loseAll } = await pairOf();
    const { replies } = ask('sum', { idempotent: true, timeoutMs: 500 });
    await loseAll();
    await clock.run(499, 1);
    expect(replies.heard).toEqual([]);
    await clock.run(1);
    expect(replies.error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT', sent: true, elapsedMs: 500 });
    client.destroy();
  });

  it('that is aborted while it waits for another connection says that it may have run', async () => {
    const { ask, client, loseAll } = await pairOf();
    const abort = new AbortController();
    const { replies } = ask('sum', { idempotent: true, signal: abort.signal });
    await loseAll();
    expect(replies.heard).toEqual([]);
    abort.abort();
    await settled();
    expect(replies.error).toMatchObject({ code: 'PTCP_ABORTED', sent: true });
    expect(client.stats()).toMatchObject({ waiting: 0, inFlight: 0, retries: 1, failures: 1 });
    client.destroy();
  });

  it('that is cancelled while it waits for another connection is not sent again', async () => {
    const { ask, refusing, clock, calls, client, loseAll } = await pairOf();
    const { replies, call } = ask('sum', { idempotent: true });
    await loseAll();
    call.cancel();
    refusing.clear();
    await clock.run(1_000, 10);
    expect(replies.heard).toEqual([]);
    expect(calls().sort()).toEqual([0, 1]);
    expect(client.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
  });

  it('keeps its key', async () => {
    const { at, ask, cut, clock, client } = await connectedClientOf({ endpoints: [A, B, 'c:3'], ejection: false });
    const holders = (): string[] => [A, B, 'c:3'].filter((address) => at(address).calls.length > 0);
    ask('first', { key: 'k', idempotent: true });
    await settled();
    const [home = ''] = holders();
    cut(home);
    await settled();
    const [next] = holders().filter((address) => address !== home);
    expect(next).toBeDefined();
    await clock.run(1_000, 10);
    ask('second', { key: 'k' });
    await settled();
    expect(at(home).calls).toHaveLength(2);
    client.destroy();
  });
});

describe('a request that was lost after it was sent is not sent again', () => {
  /** Three failures through which no second attempt may come. */
  async function expectOneAttempt(
    options: { idempotent?: boolean; upload?: UploadSource },
    before: (call: { item(data: unknown): void }) => void = () => undefined,
  ): Promise<string[]> {
    const { at, ask, cut, clock, client, calls, placeOfCall } = await pairOf();
    const { replies } = ask('sum', options);
    const [first] = await placeOfCall();
    before(at(first).lastCall);
    await settled();
    cut(first);
    await clock.run(1_000, 10);
    expect(replies.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true, peer: first });
    expect(calls().sort()).toEqual([0, 1]);
    expect(client.stats()).toMatchObject({ retries: 0, failures: 1, inFlight: 0 });
    return replies.heard;
  }

  it('without the caller’s word that it may run twice', async () => {
    await expectOneAttempt({});
    await expectOneAttempt({ idempotent: false });
  });

  it('when an item of its stream was delivered', async () => {
    const heard = await expectOneAttempt({ idempotent: true }, (call) => {
      call.item('one');
    });
    expect(heard).toEqual(['next one', 'failed PTCP_CONNECTION_LOST']);
  });

  it('when its data is a stream, which cannot begin again', async () => {
    let starts = 0;
    const upload: UploadSource = {
      start: () => {
        starts += 1;
        return () => undefined;
      },
    };
    await expectOneAttempt({ idempotent: true, upload });
    expect(starts).toBe(1);
  });
});

describe('an idempotent request is not sent again', () => {
  it('when its time has run out at the server', async () => {
    const { ask, clock, client, calls } = await pairOf();
    const { replies } = ask('slow', { idempotent: true, timeoutMs: 100 });
    await settled();
    await clock.run(1_000, 10);
    expect(replies.heard).toEqual(['failed PTCP_REQUEST_TIMEOUT']);
    expect(calls().sort()).toEqual([0, 1]);
    expect(client.stats().retries).toBe(0);
  });

  it('when the handler answers with an error', async () => {
    const { at, ask, client, calls, placeOfCall } = await pairOf();
    const { replies } = ask('boom', { idempotent: true });
    const [first] = await placeOfCall();
    at(first).lastCall.fail('boom');
    await settled();
    expect(replies.heard).toEqual(['handler failed boom']);
    expect(calls().sort()).toEqual([0, 1]);
    expect(client.stats().retries).toBe(0);
  });
});

describe('a request that never left', () => {
  it.each([
    ['retry: false', { retry: false }],
    ['a budget of nothing', { retry: { attempts: 0, budgetRatio: 0, budgetMinPerSecond: 0 } }],
  ] as const)('goes to another connection free of charge, with %s, idempotent or not', async (_, options) => {
    const { at, ask, clock, client } = await connectedClientOf({ pool: { min: 2 }, ...options });
    for (const idempotent of [false, true]) {
      const { replies } = ask('sum', { idempotent });
      client.connections
        .find(({ inFlight }) => inFlight === 1)
        ?.destroy(new PooledTcpError('PTCP_CONNECTION_LOST', 'reset by peer'));
      await settled();
      at(A).lastCall.respond(3);
      await settled();
      expect(replies.heard).toEqual(['next 3', 'complete']);
      await clock.run(400, 10);
    }
    expect(at(A).calls).toHaveLength(2);
    expect(client.stats()).toMatchObject({ requests: 2, retries: 2, failures: 0 });
  });

  it('takes nothing out of the budget of those that did', async () => {
    const { ask, cut, client, calls } = await pairOf({
      retry: { budgetRatio: 0.5, budgetMinPerSecond: 0 },
      pool: { min: 2 },
    });
    const { replies } = ask('sum', { idempotent: true });
    client.connections
      .find(({ inFlight }) => inFlight === 1)
      ?.destroy(new PooledTcpError('PTCP_CONNECTION_LOST', 'reset by peer'));
    // Half a retry is paid in by this call, the other half by the next.
    ask('other', {});
    await settled();
    expect(replies.heard).toEqual([]);
    expect(calls().reduce((sum, count) => sum + count)).toBe(2);
    expect(client.stats().retries).toBe(1);
    for (const { peer } of client.connections.filter(({ inFlight }) => inFlight > 0)) {
      cut(peer);
      await settled();
    }
    expect(client.stats().retries).toBe(2);
    client.destroy();
  });
});
