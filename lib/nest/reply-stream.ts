import type { Observable, Subscription } from 'rxjs';
import type { ServerCall } from '../server/server-call.js';

/**
 * Answers a call with what an Observable emits. The last value is held back until the end of the microtask
 * queue, so that a stream of one value, which is what every interceptor makes of a plain result, is one frame.
 *
 * @param finished called once, when the stream has ended or nobody wants it any more
 */
export function replyWith(
  stream: Observable<unknown>,
  call: ServerCall,
  onError: (error: unknown) => void,
  finished?: () => void,
): void {
  let held: { value: unknown } | undefined;
  const release = (): void => {
    if (held === undefined) return;
    const { value } = held;
    held = undefined;
    call.item(value);
  };
  const subscription: Subscription = stream.subscribe({
    next: (value) => {
      release();
      held = { value };
      queueMicrotask(release);
    },
    complete: () => {
      if (held === undefined) call.complete();
      else {
        const { value } = held;
        held = undefined;
        call.respond(value);
      }
    },
    error: (error: unknown) => {
      release();
      onError(error);
    },
  });
  if (finished !== undefined) subscription.add(finished);
  call.onCancel(() => {
    subscription.unsubscribe();
  });
}
