import { describe, expect, it } from '@jest/globals';
import { settled } from '../../support/step-clock.js';
import { outcomeOf } from '../pool/pool-setup.js';
import { connectedClientOf, message, Replies } from './client-setup.js';

describe('setLimits()', () => {
  it('opens what is missing and closes what is too much, on every endpoint', async () => {
    const { client } = await connectedClientOf({ endpoints: ['a:1', 'b:1'], pool: { min: 1, max: 2 } });
    client.setLimits({ min: 3, max: 5 });
    await settled();
    expect(client.stats().endpoints.map(({ total }) => total)).toEqual([3, 3]);
    client.setLimits({ min: 0, max: 1 });
    expect(client.stats().endpoints.map(({ total }) => total)).toEqual([1, 1]);
    expect(client.limits).toEqual({ min: 0, max: 1 });
    client.destroy();
  });

  it('keeps what is left out, and refuses what contradicts it', async () => {
    const { client } = await connectedClientOf({ pool: { min: 2, max: 4 } });
    client.setLimits({ max: 3 });
    expect(client.limits).toEqual({ min: 2, max: 3 });
    expect(() => {
      client.setLimits({ max: 1 });
    }).toThrow('pool.min (2) is greater than pool.max (1)');
    expect(() => {
      client.setLimits({ min: -1 });
    }).toThrow(expect.objectContaining({ code: 'PTCP_OPTION_INVALID' }));
    expect(client.limits).toEqual({ min: 2, max: 3 });
    client.destroy();
  });
});

describe('evict()', () => {
  it('replaces every connection and fails no call', async () => {
    const { client, at, ask, links } = await connectedClientOf({ pool: { min: 2, max: 2 } });
    const { replies } = ask('slow');
    await settled();
    client.evict();
    await settled();
    const slow = at('a:1').lastCall;
    slow.respond('done');
    await settled();
    expect(replies.heard).toEqual(['next done', 'complete']);
    expect(links.length).toBe(4);
    expect(client.stats()).toMatchObject({ total: 2, failures: 0, closed: { retired: 2 } });
    client.destroy();
  });
});

describe('suspend()', () => {
  it('holds calls back until resume(), in order', async () => {
    const { client, at } = await connectedClientOf({ pool: { min: 1, max: 1 } });
    client.suspend();
    for (const pattern of ['first', 'second']) client.call(message(pattern), new Replies(), { timeoutMs: 1_000 });
    await settled();
    expect(at('a:1').calls).toHaveLength(0);
    expect(client.stats().waiting).toBe(2);
    client.resume();
    await settled();
    expect(at('a:1').calls.map(({ pattern }) => pattern)).toEqual(['first', 'second']);
    client.destroy();
  });

  it('lets deadlines pass', async () => {
    const { client, clock } = await connectedClientOf({ pool: { min: 1, max: 1, acquireTimeoutMs: 100 } });
    client.suspend();
    const waiting = outcomeOf(client.acquire({}));
    await clock.run(100);
    expect(waiting.error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT' });
    client.destroy();
  });
});
