import type { Clock, Timer } from '../common/clock.js';
import { LinkedList, type Linked } from '../common/linked-list.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';

type Done = () => void;

class Turn implements Linked<Turn> {
  readonly begin: () => void;
  readonly fail: (error: PooledTcpError) => void;
  previous: Turn | undefined = undefined;
  next: Turn | undefined = undefined;
  list: object | undefined = undefined;

  constructor(begin: () => void, fail: (error: PooledTcpError) => void) {
    this.begin = begin;
    this.fail = fail;
  }
}

/** One at a time, in the order of arrival. */
export class Turns {
  readonly #clock: Clock;
  readonly #waiting = new LinkedList<Turn>();
  #isTaken = false;
  #closed: PooledTcpError | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns ends the turn; undefined when it is somebody else's */
  tryTake(): Done | undefined {
    if (this.#isTaken || this.#closed !== undefined) return undefined;
    this.#isTaken = true;
    return this.#done();
  }

  /**
   * Waits for its turn.
   *
   * @throws PooledTcpError `PTCP_REQUEST_TIMEOUT`, `PTCP_ABORTED`, or what it was closed with; nothing was sent
   */
  take(timeoutMs?: number, signal?: AbortSignal): Promise<Done> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const free = this.tryTake();
    if (free !== undefined) return Promise.resolve(free);
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const settle = (): void => {
        if (timer !== undefined) this.#clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const turn = new Turn(
        () => {
          settle();
          resolve(this.#done());
        },
        (error) => {
          settle();
          reject(error);
        },
      );
      const giveUp = (error: PooledTcpError): void => {
        if (this.#waiting.remove(turn)) turn.fail(error);
      };
      const onAbort = (): void => {
        giveUp(new PooledTcpError('PTCP_ABORTED', 'gave up waiting for its turn', { cause: signal?.reason }));
      };
      if (timeoutMs !== undefined && Number.isFinite(timeoutMs)) {
        timer = this.#clock.setTimeout(() => {
          giveUp(
            new PooledTcpError('PTCP_REQUEST_TIMEOUT', `its turn on the lease did not come within ${timeoutMs} ms`, {
              elapsedMs: timeoutMs,
            }),
          );
        }, timeoutMs);
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.addLast(turn);
    });
  }

  /** Those who wait fail with this, and those who come later. */
  close(reason: PooledTcpError): void {
    this.#closed ??= new PooledTcpError(reason.code, reason.message, { peer: reason.peer, cause: reason.cause });
    for (const turn of this.#waiting) {
      this.#waiting.remove(turn);
      turn.fail(this.#closed);
    }
  }

  #done(): Done {
    let isDone = false;
    return () => {
      if (isDone) return;
      isDone = true;
      const next = this.#waiting.first;
      if (next === undefined) this.#isTaken = false;
      else {
        this.#waiting.remove(next);
        next.begin();
      }
    };
  }
}
