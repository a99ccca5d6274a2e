import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ItemQueue, type ItemObserver } from '../../../lib/common/item-queue.js';

function queueOf() {
  const taken: number[] = [];
  let abandoned = 0;
  const queue = new ItemQueue(
    (bytes) => taken.push(bytes),
    () => (abandoned += 1),
  );
  return { queue, taken, abandoned: () => abandoned };
}

class Observer implements ItemObserver {
  readonly heard: unknown[] = [];
  onNext: ((value: unknown) => void) | undefined;

  next(value: unknown): void {
    this.heard.push(value);
    this.onNext?.(value);
  }
  error(error: unknown): void {
    this.heard.push(['error', error]);
  }
  complete(): void {
    this.heard.push('complete');
  }
}

const DONE = { done: true, value: undefined };
const item = (value: unknown) => ({ done: false, value });

describe('items that are pulled', () => {
  it('arrive whether they came before or after, and count as taken only when they are', async () => {
    const { queue, taken } = queueOf();
    queue.push('a', 1);
    queue.push('b', 2);
    expect(taken).toEqual([]);
    expect(queue.size).toBe(2);
    expect(await queue.next()).toEqual(item('a'));
    expect(taken).toEqual([1]);
    expect(await queue.next()).toEqual(item('b'));
    const [c, d, end] = [queue.next(), queue.next(), queue.next()];
    queue.push('c', 3);
    queue.push('d', 4);
    queue.end();
    expect(await Promise.all([c, d, end])).toEqual([item('c'), item('d'), DONE]);
    expect(taken).toEqual([1, 2, 3, 4]);
    expect(await queue.next()).toEqual(DONE);
  });

  it('come before the failure, which is told once', async () => {
    const { queue } = queueOf();
    queue.push('a', 1);
    queue.fail(new Error('broken'));
    expect(await queue.next()).toEqual(item('a'));
    const [first, second] = [queue.next(), queue.next()];
    await expect(first).rejects.toThrow('broken');
    expect(await second).toEqual(DONE);
    expect(await queue.next()).toEqual(DONE);
  });

  it('fail for the first who waits; the others are at the end', async () => {
    const { queue } = queueOf();
    const waiting = [queue.next(), queue.next(), queue.next()];
    queue.fail(new Error('broken'));
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  });

  it('end once: what comes after the end is nothing', async () => {
    const { queue, taken } = queueOf();
    queue.end();
    queue.end();
    queue.fail(new Error('late'));
    queue.push('late', 1);
    expect(await queue.next()).toEqual(DONE);
    expect(queue.size).toBe(0);
    expect(taken).toEqual([]);
  });

  it('are abandoned by whoever leaves the loop', async () => {
    const { queue, taken, abandoned } = queueOf();
    queue.push('a', 1);
    queue.push('b', 2);
    for await (const value of queue) {
      expect(value).toBe('a');
      break;
    }
    expect(abandoned()).toBe(1);
    expect(taken).toEqual([1]);
    queue.push('c', 3);
    expect(queue.size).toBe(0);
    expect(await queue.next()).toEqual(DONE);
    queue.abandon();
    await queue.return();
    expect(abandoned()).toBe(1);
  });

  it('let go of whoever waits when they are abandoned', async () => {
    const { queue, abandoned } = queueOf();
    const waiting = queue.next();
    expect(await queue.return()).toEqual(DONE);
    expect(await waiting).toEqual(DONE);
    expect(abandoned()).toBe(1);
  });

  it('that are abandoned after the end need not be called off', () => {
    const { queue, abandoned } = queueOf();
    queue.push('a', 1);
    queue.end();
    queue.abandon();
    expect(abandoned()).toBe(0);
  });

  it('that are abandoned before their failure was told fail nobody', async () => {
    const { queue } = queueOf();
    queue.push('a', 1);
    queue.fail(new Error('broken'));
    queue.abandon();
    expect(await queue.next()).toEqual(DONE);
  });
});

describe('items that are observed', () => {
  it('are those from before, then those that come, each taken after it was handed on', () => {
    const { queue, taken } = queueOf();
    const observer = new Observer();
    queue.push('a', 1);
    observer.onNext = () => observer.heard.push(`taken ${taken.join()}`);
    expect(queue.observe(observer)).toBe(true);
    queue.push('b', 2);
    queue.end();
    expect(observer.heard).toEqual(['a', 'taken ', 'b', 'taken 1', 'complete']);
    expect(taken).toEqual([1, 2]);
  });

  it('come before the failure or the end that was there already', () => {
    const failed = queueOf().queue;
    const error = new Error('broken');
    failed.push('a', 1);
    failed.fail(error);
    const [first, second] = [new Observer(), new Observer()];
    failed.observe(first);
    expect(first.heard).toEqual(['a', ['error', error]]);
    const ended = queueOf().queue;
    ended.end();
    ended.observe(second);
    expect(second.heard).toEqual(['complete']);
  });

  it('belong to one consumer', () => {
    const { queue } = queueOf();
    expect(queue.observe(new Observer())).toBe(true);
    expect(queue.observe(new Observer())).toBe(false);
    const pulled = queueOf().queue;
    void pulled.next();
    expect(pulled.observe(new Observer())).toBe(false);
  });

  it.each(['while it takes what was there', 'while it takes what comes'])(
    'stop for an observer that leaves %s',
    (when) => {
      const { queue, abandoned } = queueOf();
      const observer = new Observer();
      observer.onNext = (value) => {
        if (value === 'b') queue.abandon();
      };
      const push = (): void => {
        for (const value of ['a', 'b', 'c']) queue.push(value, 1);
      };
      if (when.endsWith('there')) push();
      queue.observe(observer);
      if (when.endsWith('comes')) push();
      queue.end();
      expect(observer.heard).toEqual(['a', 'b']);
      expect(abandoned()).toBe(1);
      expect(queue.size).toBe(0);
    },
  );
});

describe('any order of coming and taking', () => {
  it('hands on each item once, in order, and reports its bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('push', 'pull'), { maxLength: 60 }),
        fc.boolean(),
        async (steps, isFailing) => {
          const { queue, taken } = queueOf();
          const pulls: Promise<IteratorResult<unknown, undefined>>[] = [];
          let pushed = 0;
          for (const step of steps) {
            if (step === 'pull') pulls.push(queue.next());
            else queue.push(++pushed, pushed);
          }
          if (isFailing) queue.fail(new Error('broken'));
          else queue.end();
          while (pulls.length <= pushed) pulls.push(queue.next());
          const outcomes = await Promise.allSettled(pulls);
          const values = outcomes.flatMap((outcome) =>
            outcome.status === 'fulfilled' && outcome.value.done !== true ? [outcome.value.value] : [],
          );
          const all = Array.from({ length: pushed }, (_, i) => i + 1);
          expect(values).toEqual(all);
          expect(taken).toEqual(all);
          expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(isFailing ? 1 : 0);
        },
      ),
      { numRuns: 300 },
    );
  });
});
