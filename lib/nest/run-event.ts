import type { MessageHandler } from '@nestjs/microservices';
import { isObservable } from 'rxjs';
import type { PooledTcpContext } from './pooled-tcp-context.js';

/**
 * Runs what handles an event to its end: that of its stream, where it returns one, as with every interceptor.
 * Rejects with what the handler throws; a stream's error Nest has logged already.
 */
export async function runEvent(handler: MessageHandler, data: unknown, context: PooledTcpContext): Promise<void> {
  const result: unknown = await handler(data, context);
  if (!isObservable(result)) return;
  await new Promise<void>((resolve) => {
    result.subscribe({ error: resolve, complete: resolve });
  });
}
