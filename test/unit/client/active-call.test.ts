import { describe, expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { settled } from '../../support/step-clock.js';
import { clientOf, connectedClientOf, message } from './client-setup.js';

describe('a request', () => {
  it('hears its reply, and gives its slot back', async () => {
    const { at, ask, client } = await connectedClientOf();
    const { replies } = ask('sum');
    await settled();
    expect(client.stats().inFlight).toBe(1);
    at('a:1').lastCall.respond(3);
    await settled();
    expect(replies.heard).toEqual(['next 3', 'complete']);
    expect(client.stats()).toMatchObject({ inFlight: 0, requests: 1, failures: 0, retries: 0 });
  });

  it('completes without a value where the handler has none', async () => {
    const { at, ask } = await connectedClientOf();
    const { replies } = ask('nothing');
    await settled();
    at('a:1').lastCall.respond(undefined);
    await settled();
    expect(replies.heard).toEqual(['complete']);
  });

  it('hears the handler’s error, which counts as a failure', async () => {
    const { at, ask, client } = await connectedClientOf();
    const { replies } = ask('boom');
    await settled();
    at('a:1').lastCall.fail('boom');
    await settled();
    expect(replies.heard).toEqual(['handler failed boom']);
    expect(client.stats()).toMatchObject({ failures: 1, inFlight: 0 });
  });

  it('opens the first connection where nothing is prewarmed', async () => {
    const { at, ask } = clientOf();
    const { replies } = ask('sum');
    await settled();
    at('a:1').lastCall.respond(3);
    await settled();
    expect(replies.heard).toEqual(['next 3', 'complete']);
  });

  it('that cannot be written fails unsent and leaves nothing behind', async () => {
    const { client, clock } = await connectedClientOf();
    const timers = clock.pending;
    const heard: PooledTcpError[] = [];
    const ignore = (): void => undefined;
    client.call(
      message('bad', 1n),
      { next: ignore, complete: ignore, handlerFailed: ignore, failed: (error) => heard.push(error) },
      { timeoutMs: 1_000 },
    );
    expect(heard).toMatchObject([{ code: 'PTCP_PAYLOAD_UNSERIALIZABLE', sent: false }]);
    expect(client.stats()).toMatchObject({ inFlight: 0, failures: 1, retries: 0 });
    expect(clock.pending).toBe(timers);
  });
});

describe('a deadline', () => {
  it('that passes while the call waits for a connection leaves it unsent', async () => {
    const { ask, clock, hanging, client } = clientOf();
    hanging.add('a:1');
    const { replies } = ask('slow', { timeoutMs: 500 });
    await clock.run(500);
    expect(replies.error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT', sent: false, elapsedMs: 500 });
    expect(replies.error?.message).toContain("request 'slow'");
    client.destroy();
    await settled();
    expect(clock.pending).toBe(0);
  });

  it('never lets a call wait for a connection beyond acquireTimeoutMs', async () => {
    const { ask, clock, hanging, client } = clientOf({ pool: { acquireTimeoutMs: 300 } });
    hanging.add('a:1');
    const { replies } = ask('slow', { timeoutMs: 0 });
    await clock.run(300);
    expect(replies.heard).toEqual(['failed PTCP_ACQUIRE_TIMEOUT']);
    client.destroy();
  });

  it('that passes after the request has left says that it may have run, and cancels it at the server', async () => {
    const { at, ask, clock, client } = await connectedClientOf();
    const { replies } = ask('slow', { timeoutMs: 500 });
    await settled();
    const { signal } = at('a:1').lastCall;
    await clock.run(499);
    expect(replies.heard).toEqual([]);
    await clock.run(1);
    expect(replies.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: true, elapsedMs: 500, peer: 'a:1' });
    expect(signal.aborted).toBe(true);
    expect(client.stats()).toMatchObject({ inFlight: 0, failures: 1 });
    at('a:1').lastCall.respond('late');
    await settled();
    expect(replies.heard).toHaveLength(1);
  });

  it('counts the time the call has waited', async () => {
    const { at, ask, clock, hanging } = clientOf({
      backoff: { initialMs: 100, jitter: 0 },
      pool: { connectTimeoutMs: 200 },
    });
    hanging.add('a:1');
    const { replies } = ask('slow', { timeoutMs: 500 });
    await clock.run(200);
    hanging.clear();
    await clock.run(100);
    expect(at('a:1').calls).toHaveLength(1);
    await clock.run(199);
    expect(replies.heard).toEqual([]);
    await clock.run(1);
    expect(replies.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: true, elapsedMs: 500 });
  });

  it('is the longest silence between the items of a stream', async () => {
    const { at, ask, clock } = await connectedClientOf();
    const { replies } = ask('count', { timeoutMs: 500 });
    await settled();
    for (let i = 0; i < 5; i++) {
      await clock.run(499);
      at('a:1').lastCall.item(i);
      await settled();
    }
    expect(replies.heard).toEqual(['next 0', 'next 1', 'next 2', 'next 3', 'next 4']);
    await clock.run(500);
    expect(replies.heard.at(-1)).toBe('failed PTCP_REQUEST_TIMEOUT');
    expect(replies.error?.sent).toBe(true);
  });

  it('of 0 never passes', async () => {
    const { at, ask, clock } = await connectedClientOf({ pool: { idleTimeoutMs: 0, maxLifetimeMs: 0 } });
    const { replies } = ask('slow', { timeoutMs: 0 });
    await settled();
    expect(clock.pending).toBe(0);
    await clock.run(1_000_000);
    at('a:1').lastCall.respond('at last');
    await settled();
    expect(replies.heard).toEqual(['next at last', 'complete']);
  });

  it('costs one timer for all calls with the same time, and none once they are over and it has rung', async () => {
    const { at, ask, clock } = await connectedClientOf({ pool: { idleTimeoutMs: 0, maxLifetimeMs: 0 } });
    for (let i = 0; i < 100; i++) ask('sum', { timeoutMs: 500 });
    await settled();
    // The client's, and that of the session here, to which the deadline has travelled.
    expect(clock.pending).toBe(2);
    for (const call of at('a:1').calls) call.respond(3);
    await settled();
    expect(clock.pending).toBe(2);
    await clock.run(500);
    expect(clock.pending).toBe(0);
  });

  it('passes for each call at its own time, whatever times the others have', async () => {
    const { ask, clock } = await connectedClientOf();
    const early = ask('a', { timeoutMs: 300 }).replies;
    await clock.run(200);
    const [later, soon] = [ask('b', { timeoutMs: 300 }).replies, ask('c', { timeoutMs: 150 }).replies];
    await clock.run(100);
    expect([early, later, soon].map(({ error }) => error?.code)).toEqual([
      'PTCP_REQUEST_TIMEOUT',
      undefined,
      undefined,
    ]);
    await clock.run(50);
    expect([later, soon].map(({ error }) => error?.code)).toEqual([undefined, 'PTCP_REQUEST_TIMEOUT']);
    await clock.run(150);
    expect(later.error).toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', elapsedMs: 300 });
  });

  it('leaves no timer behind when the client closes', async () => {
    const { ask, clock, client } = await connectedClientOf();
    ask('sum');
    await settled();
    client.destroy();
    await settled();
    expect(clock.pending).toBe(0);
  });
});

describe('an abort', () => {
  it('ends the call with the signal’s reason and cancels it at the server', async () => {
    const { at, ask, client } = await connectedClientOf();
    const abort = new AbortController();
    const { replies } = ask('slow', { signal: abort.signal });
    await settled();
    const { signal } = at('a:1').lastCall;
    abort.abort(new Error('changed my mind'));
    await settled();
    expect(replies.error).toMatchObject({ code: 'PTCP_ABORTED', sent: true, cause: new Error('changed my mind') });
    expect(signal.aborted).toBe(true);
    expect(client.stats().inFlight).toBe(0);
  });

  it('in the tick of the request says that it was sent: request and cancel leave together, and the handler may run', async () => {
    const { ask, at } = await connectedClientOf();
    const abort = new AbortController();
    const { replies } = ask('slow', { signal: abort.signal });
    abort.abort();
    expect(replies.error).toMatchObject({ code: 'PTCP_ABORTED', sent: true });
    await settled();
    expect(at('a:1').calls).toHaveLength(1);
    expect(at('a:1').lastCall.isRunning).toBe(false);
  });

  it('ends a call that waits for a connection', async () => {
    const { ask, client, hanging } = clientOf();
    hanging.add('a:1');
    const abort = new AbortController();
    const { replies } = ask('slow', { signal: abort.signal });
    await settled();
    abort.abort();
    await settled();
    expect(replies.heard).toEqual(['failed PTCP_ABORTED']);
    expect(replies.error?.sent).toBe(false);
    expect(client.stats().waiting).toBe(0);
    client.destroy();
  });

  it('beforehand starts nothing', async () => {
    const { at, ask } = await connectedClientOf();
    const { replies } = ask('slow', { signal: AbortSignal.abort() });
    await settled();
    expect(replies.heard).toEqual(['failed PTCP_ABORTED']);
    expect(at('a:1').calls).toHaveLength(0);
  });

  it('after the reply changes nothing', async () => {
    const { at, ask } = await connectedClientOf();
    const abort = new AbortController();
    const { replies } = ask('sum', { signal: abort.signal });
    await settled();
    at('a:1').lastCall.respond(3);
    await settled();
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
    abort.abort();
    expect(replies.heard).toEqual(['next 3', 'complete']);
  });
});

describe('a cancel', () => {
  it('is silent, and the server is told', async () => {
    const { at, ask, client } = await connectedClientOf();
    const { replies, call } = ask('slow');
    await settled();
    const { signal } = at('a:1').lastCall;
    call.cancel();
    call.cancel();
    await settled();
    expect(replies.heard).toEqual([]);
    expect(signal.aborted).toBe(true);
    expect(client.stats()).toMatchObject({ inFlight: 0, failures: 0 });
  });

  it('of a call that waits takes it out of the line', async () => {
    const { at, ask, client } = await connectedClientOf({ pool: { mode: 'exclusive', min: 1, max: 1 } });
    ask('first');
    const { replies, call } = ask('second');
    await settled();
    call.cancel();
    await settled();
    expect(client.stats()).toMatchObject({ waiting: 0, inFlight: 1 });
    at('a:1').lastCall.respond(1);
    await settled();
    expect(replies.heard).toEqual([]);
    expect(at('a:1').calls).toHaveLength(1);
    expect(client.stats()).toMatchObject({ idle: 1, inFlight: 0 });
  });

  it('in the moment in which a connection is handed over gives that back', async () => {
    const { ask, at, client } = await connectedClientOf({ pool: { mode: 'exclusive', min: 1, max: 1 } });
    const first = ask('first');
    const second = ask('second');
    await settled();
    // The first call has given its connection back, and that is on its way to the second.
    first.replies.complete = () => {
      second.call.cancel();
    };
    at('a:1').lastCall.respond(1);
    await settled();
    expect(at('a:1').calls).toHaveLength(1);
    expect(second.replies.heard).toEqual([]);
    expect(client.stats()).toMatchObject({ acquired: 2, idle: 1, active: 0, inFlight: 0, waiting: 0 });
  });
});

describe('a request that has not left', () => {
  it('goes to another connection when its own is lost, unnoticed by the caller', async () => {
    const { at, ask, links, client } = await connectedClientOf({ pool: { min: 2 } });
    const { replies } = ask('sum');
    // Lost within the tick of the request: nothing was written yet. Both may have it; only one has.
    const used = client.connections.find(({ inFlight }) => inFlight === 1);
    used?.destroy(new PooledTcpError('PTCP_CONNECTION_LOST', 'reset by peer'));
    await settled();
    expect(links.length).toBeGreaterThanOrEqual(2);
    at('a:1').lastCall.respond(3);
    await settled();
    expect(replies.heard).toEqual(['next 3', 'complete']);
    expect(client.stats()).toMatchObject({ retries: 1, failures: 0, inFlight: 0 });
    expect(at('a:1').calls).toHaveLength(1);
  });

  it('goes elsewhere when a server refuses it because it drains or is full', async () => {
    const { at, ask, client } = await connectedClientOf({ endpoints: ['a:1', 'b:2'] });
    let refusals = 0;
    for (const address of ['a:1', 'b:2']) {
      at(address).onCall = (call) => {
        if (refusals++ === 0) call.refuse('overloaded', 'full');
        else call.respond(address);
      };
    }
    const { replies } = ask('sum');
    await settled();
    expect(replies.heard).toHaveLength(2);
    expect(client.stats()).toMatchObject({ retries: 1, failures: 0 });
  });

  it('is given up after four attempts', async () => {
    const { at, ask, client } = await connectedClientOf({ endpoints: ['a:1', 'b:1'] });
    for (const address of ['a:1', 'b:1']) {
      at(address).onCall = (call) => {
        call.refuse('overloaded', 'full');
      };
    }
    const { replies } = ask('sum');
    await settled();
    await settled();
    expect(replies.error).toMatchObject({ code: 'PTCP_SERVER_OVERLOADED', sent: false });
    expect(at('a:1').calls.length + at('b:1').calls.length).toBe(4);
    expect(client.stats()).toMatchObject({ retries: 3, failures: 1, inFlight: 0 });
  });

  it('is not repeated at the one server there is, when that is full', async () => {
    const { at, ask, client } = await connectedClientOf();
    at('a:1').onCall = (call) => {
      call.refuse('overloaded', 'full');
    };
    const { replies } = ask('sum');
    await settled();
    expect(replies.error).toMatchObject({ code: 'PTCP_SERVER_OVERLOADED', sent: false });
    expect(at('a:1').calls).toHaveLength(1);
    expect(client.stats()).toMatchObject({ retries: 0, failures: 1 });
  });

  it('is not repeated where no other server would do better', async () => {
    const { at, ask } = await connectedClientOf();
    at('a:1').onCall = (call) => {
      call.refuse('no-handler', undefined);
    };
    const { replies } = ask('sum');
    await settled();
    expect(replies.error).toMatchObject({ code: 'PTCP_NO_HANDLER', sent: false });
    expect(at('a:1').calls).toHaveLength(1);
  });
});

describe('a request that has left', () => {
  it('is never repeated: it may have run', async () => {
    const { at, ask, links, client } = await connectedClientOf({ pool: { min: 2 } });
    const { replies } = ask('sum');
    await settled();
    for (const { client: transport } of links) transport.fail(new Error('ECONNRESET'));
    await settled();
    expect(replies.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true, peer: 'a:1' });
    expect(at('a:1').calls).toHaveLength(1);
    expect(client.stats()).toMatchObject({ retries: 0, failures: 1, inFlight: 0 });
  });
});
