import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { ReplyObserver, RunningCall } from './active-call.js';
import type { Hedge } from './hedge.js';

/** One of the two attempts, and what it reported last while the other still runs. */
interface Attempt {
  call: RunningCall | undefined;
  failure: (() => void) | undefined;
}

/**
 * A request that is made a second time when no answer comes for a while. Whichever begins to answer first goes on, and
 * the other is cancelled. A failure counts only when there is no other attempt left to wait for.
 */
export class HedgedCall implements RunningCall {
  readonly #observer: ReplyObserver;
  readonly #attempts: Attempt[] = [];
  readonly #hedge: Hedge;
  #chosen: Attempt | undefined;
  #isOver = false;

  /**
   * @param begin makes an attempt that reports to the observer it is given
   * @param hedge makes the delay; is given what to call when it has passed
   */
  constructor(
    observer: ReplyObserver,
    begin: (observer: ReplyObserver) => RunningCall,
    hedge: (second: () => void) => Hedge,
  ) {
    this.#observer = observer;
    this.#hedge = hedge(() => {
      if (!this.#isOver && this.#chosen === undefined) this.#begin(begin);
    });
    this.#begin(begin);
  }

  cancel(): void {
    this.#isOver = true;
    this.#hedge.stop();
    for (const { call } of this.#attempts) call?.cancel();
  }

  taken(bytes: number): void {
    this.#chosen?.call?.taken(bytes);
  }

  #begin(begin: (observer: ReplyObserver) => RunningCall): void {
    const attempt: Attempt = { call: undefined, failure: undefined };
    this.#attempts.push(attempt);
    const observer = this.#observer;
    attempt.call = begin({
      keepsItems: observer.keepsItems,
      next: (value, bytes) => {
        if (this.#choose(attempt)) observer.next(value, bytes);
      },
      complete: () => {
        if (!this.#choose(attempt)) return;
        this.#isOver = true;
        observer.complete();
      },
      failed: (error: PooledTcpError) => {
        this.#failed(attempt, () => {
          observer.failed(error);
        });
      },
      handlerFailed: (error) => {
        // An answer, too: the other server would say the same.
        if (!this.#choose(attempt)) return;
        this.#isOver = true;
        observer.handlerFailed(error);
      },
    });
  }

  #choose(attempt: Attempt): boolean {
    if (this.#isOver) return false;
    if (this.#chosen !== undefined) return this.#chosen === attempt;
    this.#chosen = attempt;
    this.#hedge.stop();
    for (const other of this.#attempts) if (other !== attempt) other.call?.cancel();
    return true;
  }

  #failed(attempt: Attempt, report: () => void): void {
    if (this.#isOver || (this.#chosen !== undefined && this.#chosen !== attempt)) return;
    attempt.failure = report;
    if (this.#chosen === undefined && this.#attempts.some(({ failure }) => failure === undefined)) return;
    this.#isOver = true;
    this.#hedge.stop();
    // The first attempt's failure is the request's; the second was ours.
    (this.#chosen ?? this.#attempts[0])?.failure?.();
  }
}
