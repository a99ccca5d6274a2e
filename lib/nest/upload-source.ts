import type { LoggerService } from '@nestjs/common';
import { isObservable } from 'rxjs';
import type { UploadSource } from '../client/upload.js';
import { isAsyncIterable, pump } from '../connection/pump.js';
import { describeCause } from '../errors/pooled-tcp-error.js';

/**
 * What a request streams to the server: an Observable, or an async iterable, which is asked for a value only when
 * the server has room for it. Undefined for any other data.
 */
export function uploadSource(data: unknown, logger: Pick<LoggerService, 'warn'>): UploadSource | undefined {
  // Nearly all data is neither, and is told by one look-up each.
  if (isObservable(data)) {
    return {
      start: (sink) => {
        const subscription = data.subscribe({
          next: (value) => {
            sink.item(value);
          },
          complete: () => {
            sink.complete();
          },
          error: (error: unknown) => {
            sink.fail(error);
          },
        });
        return () => {
          subscription.unsubscribe();
        };
      },
    };
  }
  if (!isAsyncIterable(data)) return undefined;
  return {
    start: (sink) =>
      pump(data, sink, (error) => {
        logger.warn(`the source of a request failed while it was stopped: ${describeCause(error)}`);
      }),
  };
}
