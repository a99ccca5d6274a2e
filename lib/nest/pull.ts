import type { RunningCall } from '../client/active-call.js';
import { PullReply } from './pull-reply.js';

/**
 * One request whose replies are pulled. It starts with the first pull, and is cancelled when the consumer leaves.
 *
 * @param start begins the call; undefined where it has failed at once, which the reply knows
 */
export async function* pull<T>(
  route: string,
  start: (reply: PullReply) => RunningCall | undefined,
): AsyncGenerator<T, undefined> {
  const reply = new PullReply(route);
  const call = start(reply);
  if (call !== undefined) reply.attach(call);
  try {
    yield* reply.items as AsyncIterable<T>;
  } finally {
    reply.items.abandon();
  }
  return undefined;
}
