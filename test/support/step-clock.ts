import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '../../lib/common/clock.js';

class StepTimer implements Timer {
  /** When it fires. */
  dueAt: number;
  readonly #clock: StepClock;
  readonly #callback: () => void;
  readonly #delayMs: number;

  constructor(clock: StepClock, callback: () => void, delayMs: number) {
    this.#clock = clock;
    this.#callback = callback;
    this.#delayMs = delayMs;
    this.dueAt = clock.now() + delayMs;
  }

  refresh(): void {
    this.dueAt = this.#clock.now() + this.#delayMs;
    this.#clock.arm(this);
  }

  fire(): void {
    this.#callback();
  }
}

/** A clock that stands still until it is told to go on. */
export class StepClock implements Clock {
  #now: number;
  /** In the order in which they were set: of two that are due at once, the older fires first. */
  readonly #timers = new Set<StepTimer>();

  /** @param now what the clock shows first; not 0, because a process has always run for a while */
  constructor(now = 1_000) {
    this.#now = now;
  }

  /** Timers that have neither fired nor been cleared. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    if (!(delayMs >= 0 && delayMs < 2 ** 31)) throw new Error(`step clock: a delay of ${delayMs} ms`);
    const timer = new StepTimer(this, callback, delayMs);
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(timer: Timer): void {
    this.#timers.delete(timer as StepTimer);
  }

  /** @internal for timers: runs again from now, also when it has fired */
  arm(timer: StepTimer): void {
    this.#timers.delete(timer);
    this.#timers.add(timer);
  }

  /** Lets time pass: timers fire when they are due, in order, those set meanwhile too. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (let timer = this.#firstDue(until); timer !== undefined; timer = this.#firstDue(until)) {
      this.#now = Math.max(this.#now, timer.dueAt);
      this.#timers.delete(timer);
      timer.fire();
    }
    this.#now = until;
  }

  /** The same, a millisecond at a time and with the event loop going round between: for chains of promises. */
  async run(ms: number, stepMs = ms): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.advance(Math.min(stepMs, left));
      await settled();
    }
  }

  /** The process is frozen: time passes and nothing fires, until the next {@link advance}. */
  freeze(ms: number): void {
    this.#now += ms;
  }

  #firstDue(until: number): StepTimer | undefined {
    let first: StepTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueAt <= until && (first === undefined || timer.dueAt < first.dueAt)) first = timer;
    }
    return first;
  }
}

/** Lets everything happen that can happen without time passing: promises, ticks, bytes on a memory transport. */
export async function settled(): Promise<void> {
  // The longest chain is a dial with its hello: a few turns; these are plenty.
  for (let turn = 0; turn < 12; turn++) await nextTurn();
}
