/** A running timer. Node's own `Timeout` is one. */
export interface Timer {
  /** Starts the full delay again, without allocating. */
  refresh(): unknown;
}

/** Time as the library sees it: injected, so that tests step it. All values are milliseconds. */
export interface Clock {
  /** Monotonic time; only differences mean anything. */
  now(): number;
  setTimeout(callback: () => void, delayMs: number): Timer;
  /** Stops a timer; harmless for one that has fired. */
  clearTimeout(timer: Timer): void;
}

/** The process's monotonic clock and timers. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => {
    clearTimeout(timer as NodeJS.Timeout);
  },
};
