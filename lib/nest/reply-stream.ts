import { isObservable, type Observable, type Subscription } from 'rxjs';
import { isAsyncIterable, pump } from '../connection/pump.js';
import type { ServerCall } from '../server/server-call.js';

export interface ReplyHooks {
  /** The Observable failed, with what Nest's filters made of it. */
  failed(error: unknown): void;
  /** The iterable threw; no filter has seen that. */
  threw(error: unknown): void;
  /** Called once, when the answer is complete or nobody wants it any more. */
  finished(): void;
  /** A generator that was stopped early failed at its clean-up. */
  stopped(error: unknown): void;
}

/** What a handler returns for more than one value. */
export type ReplyStream = Observable<unknown> | AsyncIterable<unknown>;

export function isReplyStream(result: unknown): result is ReplyStream {
  return isObservable(result) || isAsyncIterable(result);
}

/** Answers a call with the values of a stream. */
export function reply(stream: ReplyStream, call: ServerCall, hooks: ReplyHooks): void {
  if (isObservable(stream)) replyWithObservable(stream, call, hooks);
  else replyWithIterable(stream, call, hooks);
}

/** Each value is asked for once the client has room for it. */
function replyWithIterable(iterable: AsyncIterable<unknown>, call: ServerCall, hooks: ReplyHooks): void {
  const stop = pump(
    iterable,
    {
      get isWritable() {
        return call.isWritable;
      },
      whenWritable: () => call.whenWritable(),
      item: (value) => {
        call.item(value);
      },
      complete: () => {
        call.complete();
        hooks.finished();
      },
      fail: (error) => {
        hooks.threw(error);
        hooks.finished();
      },
    },
    (error) => {
      hooks.stopped(error);
    },
  );
  call.onCancel(() => {
    stop();
    hooks.finished();
  });
}

/**
 * The last value is held back until the end of the microtask queue, so that a stream of one value, which is what
 * every interceptor makes of a plain result, is one frame. The one value may be an async iterable: interceptors
 * make that, too, of a generator.
 */
function replyWithObservable(stream: Observable<unknown>, call: ServerCall, hooks: ReplyHooks): void {
  let held: { value: unknown } | undefined;
  const release = (): void => {
    if (held === undefined) return;
    const { value } = held;
    held = undefined;
    if (!isAsyncIterable(value)) call.item(value);
    else hooks.failed(new TypeError('a stream emitted an async iterable that is not its only value'));
  };
  let isHandedOver = false as boolean;
  const subscription: Subscription = stream.subscribe({
    next: (value) => {
      release();
      held = { value };
      if (!isAsyncIterable(value)) queueMicrotask(release);
    },
    complete: () => {
      if (held === undefined) {
        call.complete();
        return;
      }
      const { value } = held;
      held = undefined;
      if (isAsyncIterable(value)) {
        isHandedOver = true;
        replyWithIterable(value, call, hooks);
      } else call.respond(value);
    },
    error: (error: unknown) => {
      release();
      hooks.failed(error);
    },
  });
  subscription.add(() => {
    if (!isHandedOver) hooks.finished();
  });
  if (!isHandedOver)
    call.onCancel(() => {
      subscription.unsubscribe();
    });
}
