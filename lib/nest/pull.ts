import type { RunningCall } from '../client/active-call.js';
import { PullReply } from './pull-reply.js';

/**
 * One request whose replies are pulled. It starts with the first pull, and is cancelled when the consumer leaves, also
 * while a pull waits: an async generator would let it wait.
 *
 * @param start begins the call; undefined where it has failed at once, which the reply knows
 */
export function pull<T>(
  route: string,
  start: (reply: PullReply) => RunningCall | undefined,
): AsyncIterableIterator<T, undefined> {
  const reply = new PullReply(route);
  let isStarted = false;
  const iterator: AsyncIterableIterator<T, undefined> = {
    next: () => {
      if (!isStarted) {
        isStarted = true;
        try {
          const call = start(reply);
          if (call !== undefined) reply.attach(call);
        } catch (error) {
          // A bad option, or a dispatch hook that threw.
          reply.items.fail(error);
        }
      }
      return reply.items.next() as Promise<IteratorResult<T, undefined>>;
    },
    return: () => {
      isStarted = true;
      return reply.items.return() as Promise<IteratorResult<T, undefined>>;
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}
