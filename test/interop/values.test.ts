import { expect, it } from '@jest/globals';
import { lastValueFrom } from 'rxjs';
import { COMBINATIONS, forEachCombination, outcome } from '../support/combinations.js';
import { RepliesController } from '../support/replies-controller.js';

const OBJECT_PATTERN = { cmd: 'object', nested: { b: 1, a: 'x' } };
const UNICODE = 'grüße 你好 👋 \u{10ffff}\u2028"\\\0';
/** Half of a pair: no character, but JSON has a way to write it. */
const LONE_SURROGATE = 'a\ud800b';

forEachCombination(COMBINATIONS, [RepliesController], (link, { name }) => {
  it.each<[string, unknown, unknown, unknown[]]>([
    ['a value', 'sum', [1, 2, 3], [6]],
    ['an object', 'echo', { a: [1, { b: null }], c: 'd' }, [{ a: [1, { b: null }], c: 'd' }]],
    ['a promise’s value', 'later', 'x', [{ later: 'x' }]],
    ['null', 'empty', {}, [null]],
    ['0', 'echo', 0, [0]],
    ['an empty string', 'echo', '', ['']],
    ['false', 'echo', false, [false]],
    ['an empty array', 'echo', [], [[]]],
    ['no value where the handler returns undefined', 'nothing', {}, []],
    ['no value where its promise does', 'nothing-later', {}, []],
    ['each item of an Observable, in order', 'count', 100, Array.from({ length: 100 }, (_, i) => i)],
    ['items that come over time', 'count-slowly', 20, Array.from({ length: 20 }, (_, i) => i)],
    ['items of an Observable that was promised', 'promised-stream', ['a', 'b'], ['a', 'b']],
    ['items that are null, 0, an empty string and false', 'each', [null, 0, '', false], [null, 0, '', false]],
    ['no value where the Observable is empty', 'no-items', {}, []],
    ['text beyond ASCII', 'echo', UNICODE, [UNICODE]],
    ['text of one kind of character only', 'echo', '👋'.repeat(1_000), ['👋'.repeat(1_000)]],
    ['from an object pattern', OBJECT_PATTERN, {}, ['object pattern']],
    ['whatever the order of its keys', { nested: { a: 'x', b: 1 }, cmd: 'object' }, {}, ['object pattern']],
    ['from a number pattern', 42, {}, ['number pattern']],
    ['from a pattern beyond ASCII', 'grüße/你好 👋', {}, ['unicode pattern']],
    ['from behind a guard', 'guarded', { owner: true }, ['welcome']],
    ['from behind a pipe', 'piped', 'abc', ['ABC']],
    ['from behind an interceptor', 'intercepted', 5, [10, 12]],
  ])('send() delivers %s', async (_what, pattern, data, values) => {
    await expect(outcome(link().client, pattern, data)).resolves.toEqual({ values });
  });

  it('send() delivers half of a surrogate pair, which only UTF-8 has no way to write', async () => {
    const { values } = await outcome(link().client, 'echo', LONE_SURROGATE);
    expect(values).toEqual([name.includes('MessagePack') ? expect.stringMatching(/^a\ufffd+b$/) : LONE_SURROGATE]);
  });

  it.each([null, undefined])('send() and emit() of %s fail as in every Nest client', async (nil) => {
    const { client } = link();
    const refusal = { message: 'The invalid data or message pattern (undefined/null)' };
    await expect(outcome(client, 'echo', nil)).resolves.toMatchObject({ values: [], error: refusal });
    await expect(outcome(client, nil, 'x')).resolves.toMatchObject({ values: [], error: refusal });
    await expect(lastValueFrom(client.emit('created', nil))).rejects.toMatchObject(refusal);
  });
});
