import type { Server } from 'node:net';
import type { Observable } from 'rxjs';
import type { Call, Done } from './contender.js';

/** Subscribes without a helper such as `lastValueFrom`: the least a caller of an Observable pays. */
export function observed(send: () => Observable<unknown>): Call {
  return (done) => {
    send().subscribe(new LastValue(done));
  };
}

/** Subscribes for good, and resolves with the first value. */
export function firstOf(stream: Observable<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.subscribe({
      next: () => {
        resolve();
      },
      error: reject,
    });
  });
}

/** Connections that a listening server has. */
export function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

class LastValue {
  readonly #done: Done;
  #value: unknown;

  constructor(done: Done) {
    this.#done = done;
  }

  next(value: unknown): void {
    this.#value = value;
  }

  complete(): void {
    this.#done(undefined, this.#value);
  }

  error(error: unknown): void {
    this.#done(error ?? new Error('failed'));
  }
}
