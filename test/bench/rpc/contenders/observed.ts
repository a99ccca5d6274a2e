import type { Observable } from 'rxjs';
import type { Call, Done } from './contender.js';

/** Subscribes without a helper such as `lastValueFrom`: the least a caller of an Observable pays. */
export function observed(send: () => Observable<unknown>): Call {
  return (done) => {
    send().subscribe(new LastValue(done));
  };
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
