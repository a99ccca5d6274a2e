import { describe, expect, it } from '@jest/globals';
import { Deferred } from '../../../lib/common/deferred.js';
import type { ItemSink } from '../../../lib/connection/item-sink.js';
import { isAsyncIterable, pump } from '../../../lib/connection/pump.js';
import { settled } from '../../support/step-clock.js';

/** Has room for so many items, until it is given more. */
class Sink implements ItemSink {
  readonly heard: unknown[] = [];
  #room: number;
  #waiting: Deferred | undefined;

  constructor(room = Infinity) {
    this.#room = room;
  }

  get isWritable(): boolean {
    return this.#room > 0;
  }

  whenWritable(): Promise<void> {
    this.#waiting ??= new Deferred();
    return this.#waiting.promise;
  }

  makeRoom(room: number): void {
    this.#room += room;
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  item(data: unknown): void {
    this.#room -= 1;
    this.heard.push(data);
  }

  complete(): void {
    this.heard.push('complete');
  }

  fail(error: unknown): void {
    this.heard.push(['fail', (error as Error).message]);
  }
}

const never = (error: unknown): void => {
  throw error;
};

/** A source by hand: each pull is answered by the test. */
function handSource() {
  const pulls: { resolve(result: IteratorResult<unknown>): void; reject(error: unknown): void }[] = [];
  let returns = 0;
  const source: AsyncIterable<unknown> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise((resolve, reject) => pulls.push({ resolve, reject })),
      return: () => {
        returns += 1;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  return { source, pulls, returns: () => returns };
}

describe('an iterable that is pumped', () => {
  it('is asked for the next value when there is room for it', async () => {
    const { source, pulls } = handSource();
    const sink = new Sink(1);
    pump(source, sink, never);
    expect(pulls).toHaveLength(1);
    pulls[0]?.resolve({ done: false, value: 'a' });
    await settled();
    expect(sink.heard).toEqual(['a']);
    expect(pulls).toHaveLength(1);
    sink.makeRoom(1);
    await settled();
    expect(pulls).toHaveLength(2);
    pulls[1]?.resolve({ done: true, value: 'ignored' });
    await settled();
    expect(sink.heard).toEqual(['a', 'complete']);
  });

  it('fails with what it throws, after what came before', async () => {
    const sink = new Sink();
    pump(
      (async function* () {
        await Promise.resolve();
        yield 1;
        throw new Error('half way');
      })(),
      sink,
      never,
    );
    await settled();
    expect(sink.heard).toEqual([1, ['fail', 'half way']]);
  });

  it.each<[string, AsyncIterable<unknown>]>([
    [
      'cannot be iterated at all',
      {
        [Symbol.asyncIterator]: () => {
          throw new Error('no');
        },
      },
    ],
    [
      'throws instead of returning a promise',
      {
        [Symbol.asyncIterator]: () => ({
          next: () => {
            throw new Error('no');
          },
        }),
      },
    ],
    ['has no method next()', { [Symbol.asyncIterator]: () => ({}) as AsyncIterator<unknown> }],
  ])('fails when it %s', async (_title, source) => {
    const sink = new Sink();
    const stop = pump(source, sink, never);
    await settled();
    stop();
    expect(sink.heard).toEqual([['fail', expect.any(String)]]);
  });

  it('is released when the sink throws over a value: the source itself is fine', async () => {
    const { source, pulls, returns } = handSource();
    const sink = new Sink();
    sink.item = () => {
      throw new Error('no bytes');
    };
    pump(source, sink, never);
    pulls[0]?.resolve({ done: false, value: 1 });
    await settled();
    expect(sink.heard).toEqual([['fail', 'no bytes']]);
    expect(returns()).toBe(1);
  });
});

describe('a pump that is stopped', () => {
  it('while it waits for room asks for nothing more, and releases the source', async () => {
    const { source, pulls, returns } = handSource();
    const sink = new Sink(0);
    const stop = pump(source, sink, never);
    await settled();
    stop();
    sink.makeRoom(5);
    await settled();
    expect(pulls).toHaveLength(0);
    expect(returns()).toBe(1);
    expect(sink.heard).toEqual([]);
  });

  it.each(['a value', 'the end', 'a failure'])('while a pull is under way drops what comes: %s', async (what) => {
    const { source, pulls, returns } = handSource();
    const sink = new Sink();
    const stop = pump(source, sink, never);
    stop();
    if (what === 'a failure') pulls[0]?.reject(new Error('late'));
    else pulls[0]?.resolve({ done: what === 'the end', value: 1 });
    await settled();
    expect(sink.heard).toEqual([]);
    expect(pulls).toHaveLength(1);
    expect(returns()).toBe(1);
  });

  it('twice, or after the end, does nothing', async () => {
    const { source, pulls, returns } = handSource();
    const stop = pump(source, new Sink(), never);
    pulls[0]?.resolve({ done: true, value: undefined });
    await settled();
    stop();
    stop();
    await settled();
    expect(returns()).toBe(0);
    const other = handSource();
    const stopOther = pump(other.source, new Sink(), never);
    stopOther();
    stopOther();
    await settled();
    expect(other.returns()).toBe(1);
  });

  it('by the sink, in the middle of a value, stops there', async () => {
    const sink = new Sink();
    let produced = 0;
    const stop = pump(
      (async function* () {
        for (;;) {
          await Promise.resolve();
          yield ++produced;
        }
      })(),
      sink,
      never,
    );
    sink.item = (data) => {
      sink.heard.push(data);
      if (data === 3) stop();
    };
    await settled();
    expect(sink.heard).toEqual([1, 2, 3]);
    expect(produced).toBe(3);
  });

  it('is told of a clean-up that fails', async () => {
    const errors: unknown[] = [];
    const sink = new Sink(1);
    const stop = pump(
      (async function* () {
        try {
          await Promise.resolve();
          yield 1;
        } finally {
          throw new Error('clean-up');
        }
      })(),
      sink,
      (error) => errors.push(error),
    );
    await settled();
    stop();
    await settled();
    expect(errors).toEqual([new Error('clean-up')]);
    expect(sink.heard).toEqual([1]);
  });

  it('needs no method return()', async () => {
    const sink = new Sink(0);
    const stop = pump(
      { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }) },
      sink,
      never,
    );
    stop();
    await settled();
    expect(sink.heard).toEqual([]);
  });
});

describe('what is an async iterable', () => {
  it.each([null, undefined, 1, 'text', [], {}, new Map(), { [Symbol.asyncIterator]: 1 }])('is not %p', (value) => {
    expect(isAsyncIterable(value)).toBe(false);
  });
});
