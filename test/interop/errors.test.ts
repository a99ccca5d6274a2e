import { expect, it } from '@jest/globals';
import { PooledTcpError } from '../../lib/index.js';
import { COMBINATIONS, forEachCombination, outcome } from '../support/combinations.js';
import { RepliesController } from '../support/replies-controller.js';

const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

forEachCombination(COMBINATIONS, [RepliesController], (link, combination) => {
  it.each<[string, string, unknown, unknown]>([
    ['RpcException with a text', 'rpc-text', {}, { status: 'error', message: 'out of stock' }],
    ['RpcException with an object', 'rpc-object', {}, { code: 'OUT_OF_STOCK', left: 0 }],
    ['RpcException of a promise', 'rpc-later', {}, { status: 'error', message: 'later, out of stock' }],
    ['plain Error, hidden', 'plain-error', {}, { status: 'error', message: 'Internal server error' }],
    ['refusal of a guard', 'guarded', { owner: false }, { status: 'error', message: 'Forbidden resource' }],
    ['refusal of a pipe', 'piped', '123', { status: 'error', message: 'letters only' }],
    ['answer of a filter', 'filtered', {}, { kind: 'filtered', text: 'too far' }],
  ])('send() errors with the %s', async (_what, pattern, data, error) => {
    await expect(outcome(link().client, pattern, data)).resolves.toEqual({ values: [], error });
  });

  it('send() delivers the items before an error', async () => {
    await expect(outcome(link().client, 'error-after-items', {})).resolves.toEqual({
      values: [1, 2],
      error: { status: 'error', message: 'third' },
    });
  });

  it.each<[string, unknown]>([
    ['a text', 'nobody'],
    ['an object', { cmd: 'nobody' }],
    ['a number', 43],
    ['a text that is the JSON of a pattern there is, with a space', '{"cmd": "object"}'],
    ['a name that every object has', 'constructor'],
    ['the prototype', '__proto__'],
  ])('send() to an unknown pattern says so: %s', async (_what, pattern) => {
    const { values, error } = await outcome(link().client, pattern, {});
    expect(values).toEqual([]);
    if (combination.client === 'stock') {
      expect(error).toBe(NO_HANDLER);
      return;
    }
    expect(error).toBeInstanceOf(PooledTcpError);
    expect(error).toMatchObject({ code: 'PTCP_NO_HANDLER', sent: false });
  });

  it('a call after all these is answered on the same connection', async () => {
    await expect(outcome(link().client, 'sum', [1, 2])).resolves.toEqual({ values: [3] });
  });
});
