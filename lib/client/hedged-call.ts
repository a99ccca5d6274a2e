import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { ReplyObserver, RunningCall } from './active-call.js';
import type { Hedge } from './hedge.js';

/** One of the two attempts, and what it failed with. */
interface Attempt {
  call: RunningCall | undefined;
  failure: PooledTcpError | undefined;
}

export interface HedgedCallHooks {
  /** Makes an attempt that reports to the observer it is given. */
  begin(observer: ReplyObserver): RunningCall;
  /** Makes the delay; is given what to call when it has passed. */
  hedge(second: () => void): Hedge;
  /** The request has failed: once, however many attempts have. */
  failed(): void;
}

/**
 * A request that is made a second time when no answer comes for a while. Whichever begins to answer first goes on, and
 * the other is cancelled. A failure counts only when there is no other attempt left to wait for.
 */
export class HedgedCall implements RunningCall {
  readonly #observer: ReplyObserver;
  readonly #hooks: HedgedCallHooks;
  readonly #attempts: Attempt[] = [];
  readonly #hedge: Hedge;
  #chosen: Attempt | undefined;
  #isOver = false;

  constructor(observer: ReplyObserver, hooks: HedgedCallHooks) {
    this.#observer = observer;
    this.#hooks = hooks;
    this.#hedge = hooks.hedge(() => {
      if (!this.#isOver && this.#chosen === undefined) this.#begin();
    });
    this.#begin();
  }

  cancel(): void {
    this.#isOver = true;
    this.#hedge.stop();
    for (const { call } of this.#attempts) call?.cancel();
  }

  taken(bytes: number): void {
    this.#chosen?.call?.taken(bytes);
  }

  #begin(): void {
    const attempt: Attempt = { call: undefined, failure: undefined };
    this.#attempts.push(attempt);
    const observer = this.#observer;
    attempt.call = this.#hooks.begin({
      keepsItems: observer.keepsItems,
      next: (value, bytes) => {
        if (this.#choose(attempt)) observer.next(value, bytes);
      },
      complete: () => {
        if (!this.#choose(attempt)) return;
        this.#isOver = true;
        observer.complete();
      },
      failed: (error) => {
        this.#failed(attempt, error);
      },
      handlerFailed: (error) => {
        // An answer, too: the other server would say the same.
        if (!this.#choose(attempt)) return;
        this.#isOver = true;
        this.#hooks.failed();
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

  #failed(attempt: Attempt, error: PooledTcpError): void {
    if (this.#isOver || (this.#chosen !== undefined && this.#chosen !== attempt)) return;
    attempt.failure = error;
    if (this.#chosen === undefined && this.#attempts.some(({ failure }) => failure === undefined)) return;
    this.#isOver = true;
    this.#hedge.stop();
    this.#hooks.failed();
    // The first attempt's failure is the request's; the second was ours. But where only the second may have run, the
    // caller must know.
    const sent = this.#attempts.find(({ failure }) => failure?.sent === true);
    this.#observer.failed((this.#chosen ?? sent ?? this.#attempts[0])?.failure ?? error);
  }
}
