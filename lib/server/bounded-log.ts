import type { Clock } from '../common/clock.js';
import type { DiagnosticLogger } from '../common/logger.js';

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 10;

interface Topic {
  startedAt: number;
  lines: number;
  unsaid: number;
}

/**
 * Warnings that peers can bring about: of each topic only a few lines within some time, so that nobody fills the disk
 * by misbehaving. What was left out is counted in the next line.
 */
export class BoundedLog {
  readonly #logger: DiagnosticLogger;
  readonly #clock: Clock;
  readonly #topics = new Map<string, Topic>();

  constructor(logger: DiagnosticLogger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** @param topic one of a small set: nothing that a peer chooses */
  warn(topic: string, message: string): void {
    const now = this.#clock.now();
    let state = this.#topics.get(topic);
    if (state === undefined) {
      state = { startedAt: now, lines: 0, unsaid: 0 };
      this.#topics.set(topic, state);
    }
    if (now - state.startedAt >= WINDOW_MS) {
      state.startedAt = now;
      state.lines = 0;
    }
    if (state.lines >= LINES_PER_WINDOW) {
      state.unsaid += 1;
      return;
    }
    state.lines += 1;
    const more = state.unsaid === 0 ? '' : ` (and ${state.unsaid} more like this since the last line)`;
    state.unsaid = 0;
    this.#logger.warn(message + more);
  }
}
