import { describe, expect, it } from '@jest/globals';
import { Deferred } from '../../../lib/common/deferred.js';

describe('Deferred', () => {
  it('resolves its promise from outside', async () => {
    const deferred = new Deferred<number>();
    deferred.resolve(42);

    await expect(deferred.promise).resolves.toBe(42);
  });

  it('rejects its promise from outside', async () => {
    const deferred = new Deferred();
    deferred.reject(new Error('no'));

    await expect(deferred.promise).rejects.toThrow('no');
  });

  it('settles once: what comes later changes nothing', async () => {
    const deferred = new Deferred<string>();
    deferred.resolve('first');
    deferred.reject(new Error('second'));
    deferred.resolve('third');

    await expect(deferred.promise).resolves.toBe('first');
  });

  it('takes over the outcome of a promise', async () => {
    const deferred = new Deferred<string>();
    deferred.resolve(Promise.reject(new Error('inner')));

    await expect(deferred.promise).rejects.toThrow('inner');
  });
});
