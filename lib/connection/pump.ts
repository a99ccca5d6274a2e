import type { ItemSink } from './item-sink.js';

/**
 * Streams what an async iterable yields, at the pace of the receiver: it is asked for the next value once the last
 * one has found room.
 *
 * @param stopped called when the iterable's own clean-up, after it was stopped early, has failed
 * @returns stops it: the iterable's `return()` is called
 */
export function pump(iterable: AsyncIterable<unknown>, sink: ItemSink, stopped: (error: unknown) => void): () => void {
  let iterator: AsyncIterator<unknown>;
  try {
    iterator = iterable[Symbol.asyncIterator]();
  } catch (error) {
    sink.fail(error);
    return () => undefined;
  }
  let isOver = false;
  // Asked anew after each wait, during which it may have been stopped.
  const isStopped = (): boolean => isOver;

  const run = async (): Promise<void> => {
    try {
      for (;;) {
        if (!sink.isWritable) await sink.whenWritable();
        if (isStopped()) return;
        const result = await iterator.next();
        if (isStopped()) return;
        if (result.done === true) break;
        sink.item(result.value);
      }
      isOver = true;
      sink.complete();
    } catch (error) {
      if (isStopped()) return;
      isOver = true;
      sink.fail(error);
      // The iterable itself may be fine, and a value of it have no bytes.
      void release();
    }
  };
  // A generator that is stopped throws where it stands, if its `finally` does.
  const release = async (): Promise<void> => {
    try {
      await iterator.return?.();
    } catch (error) {
      stopped(error);
    }
  };
  void run();

  return () => {
    if (isOver) return;
    isOver = true;
    void release();
  };
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === 'function'
  );
}
