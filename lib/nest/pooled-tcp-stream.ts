import { Observable } from 'rxjs';
import type { ItemQueue } from '../common/item-queue.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';

/**
 * What a handler gets as its data when the client streams it: an Observable that is an async iterable, too. It can be
 * taken once, in one of the two ways.
 *
 * - `for await (const item of stream)` takes items one by one; while the handler is busy the client waits.
 * - As an Observable it passes items on as they come; an operator that buffers them does so without a bound.
 *
 * It fails with `PTCP_ABORTED` when the caller cancels, `PTCP_CONNECTION_LOST` when it is gone, and
 * `PTCP_SOURCE_FAILED` when what it streams has failed.
 *
 * @example
 * ```ts
 * @MessagePattern('import')
 * async import(@Payload() rows: AsyncIterable<Row>): Promise<number> {
 *   let count = 0;
 *   for await (const row of rows) count += await this.table.insert(row);
 *   return count;
 * }
 * ```
 */
export class PooledTcpStream<T = unknown> extends Observable<T> implements AsyncIterable<T> {
  readonly #queue: ItemQueue;
  #isTaken = false;

  constructor(queue: ItemQueue) {
    super((subscriber) => {
      this.#take();
      queue.observe(subscriber);
      return () => {
        queue.abandon();
      };
    });
    this.#queue = queue;
  }

  /** @throws PooledTcpError `PTCP_UNSUPPORTED` the second time: what was taken is gone */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    this.#take();
    return this.#queue as AsyncIterator<T, undefined>;
  }

  #take(): void {
    if (this.#isTaken)
      throw new PooledTcpError('PTCP_UNSUPPORTED', 'the stream of a request is taken by one consumer, once');
    this.#isTaken = true;
  }
}
