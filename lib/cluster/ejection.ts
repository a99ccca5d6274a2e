import type { Clock, Timer } from '../common/clock.js';
import {
  conflict,
  duration,
  groupOrFalse,
  integer,
  number,
  type OptionRules,
  type OptionsOf,
} from '../common/options.js';

/** When a failing endpoint gets no calls for a while, as Envoy's outlier detection. */
export interface EjectionSettings {
  /** Failures in a row that eject. Default 5. */
  failures: number;
  /** Time of the first ejection; the n-th in a short time takes n times as long. Default 30 000. */
  baseMs: number;
  /** Longest ejection. Default 300 000. */
  maxMs: number;
  /** Part of the endpoints that may be out at once, those included that cannot be dialled. Default 0.5. */
  maxShare: number;
}

export type EjectionOptions = OptionsOf<EjectionSettings>;

const ejectionRules: OptionRules<EjectionSettings> = {
  failures: integer({ default: 5, min: 1, max: 10_000, text: 'Failures in a row after which an endpoint is ejected.' }),
  baseMs: duration({
    default: 30_000,
    min: 1,
    text: 'Time of the first ejection; the n-th in a short time takes n times as long. Each is shortened by up to a tenth at random.',
  }),
  maxMs: duration({ default: 300_000, min: 1, text: 'Longest ejection.' }),
  maxShare: number({
    default: 0.5,
    min: 0,
    max: 1,
    text: 'Part of the endpoints that may be out at once, those that cannot be dialled included. Where more fail, the fault is seldom theirs, and those left could not take the load.',
  }),
};

export const ejectionRule = groupOrFalse({
  text: 'When an endpoint that goes on failing gets no calls for a while.',
  rules: ejectionRules,
});

/** @throws PooledTcpError `PTCP_OPTION_CONFLICT` */
export function verifyEjection(ejection: EjectionSettings | false): void {
  if (ejection !== false && ejection.baseMs > ejection.maxMs) {
    conflict(
      `ejection.baseMs (${ejection.baseMs}) is greater than ejection.maxMs (${ejection.maxMs}); raise maxMs or lower baseMs`,
    );
  }
}

/**
 * - `in`: gets calls
 * - `ejected`: gets none until its time is over
 * - `due`: its time is over; the next call tests it
 * - `probing`: one call is under way to it, and no other
 */
type StandingState = 'in' | 'ejected' | 'due' | 'probing';

const TRANSITIONS: Readonly<Record<StandingState, readonly StandingState[]>> = {
  in: ['ejected'],
  ejected: ['due', 'in'],
  due: ['probing', 'ejected', 'in'],
  probing: ['in', 'ejected', 'due'],
};

export interface StandingOptions {
  readonly settings: EjectionSettings | false;
  readonly clock: Clock;
  readonly random: () => number;
  /** Whether one more endpoint may be out. */
  readonly mayEject: () => boolean;
  /** It may get calls now and could not before, or the other way round. */
  readonly changed: () => void;
  readonly ejected: (forMs: number, failures: number, reason: string) => void;
  /** A probe has succeeded. */
  readonly readmitted: (ejections: number) => void;
}

/** Part of an ejection that is left to chance, so that not every client asks again at the same moment. */
const JITTER = 0.1;

/**
 * How one endpoint stands: it is ejected after failures in a row, for growing times, and let back through a single
 * call. A success forgives all failures before it, and good conduct one ejection for each `baseMs`.
 */
export class Standing {
  readonly #options: StandingOptions;
  #state: StandingState = 'in';
  /** In a row. */
  #failures = 0;
  #ejections = 0;
  #readmittedAt = 0;
  #until: number | null = null;
  #timer: Timer | undefined;

  constructor(options: StandingOptions) {
    this.#options = options;
  }

  /** Whether it gets no calls. */
  get isOut(): boolean {
    return this.#state === 'ejected' || this.#state === 'probing';
  }

  /** Whether it counts among those that are out: also while it waits for its probe. */
  get isEjected(): boolean {
    return this.#state !== 'in';
  }

  /** Until when it gets no calls, in milliseconds since the epoch; null when it gets some. */
  get ejectedUntil(): number | null {
    return this.#state === 'ejected' ? this.#until : null;
  }

  /** A call was answered. */
  succeeded(): void {
    this.#failures = 0;
    // What was under way when it was ejected says nothing about now.
    if (this.#state !== 'probing' && this.#state !== 'due') return;
    this.#readmittedAt = this.#options.clock.now();
    if (this.#move('in')) this.#options.readmitted(this.#ejections);
  }

  /** A call failed in a way that speaks against the endpoint. */
  failed(reason: string): void {
    const { settings, mayEject } = this.#options;
    if (settings === false || this.#state === 'ejected') return;
    this.#failures += 1;
    if (this.#state === 'in' && (this.#failures < settings.failures || !mayEject())) return;
    this.#eject(settings, reason);
  }

  /** The call that was to test it has ended without a word about the endpoint: the next tests it. */
  inconclusive(): void {
    if (this.#state === 'probing') this.#move('due');
  }

  /** It has been given a call. */
  lent(): void {
    const { settings, clock } = this.#options;
    if (this.#state !== 'due' || settings === false || !this.#move('probing')) return;
    // Events have no answer, and streams may take for ever: then another call may try.
    this.#timer = clock.setTimeout(() => {
      this.#move('due');
    }, settings.baseMs);
  }

  /** There is reason to believe that it is well again, as when it has been restarted: it may be tested now. */
  reconsider(): void {
    if (this.#state === 'ejected') this.#move('due');
  }

  /** So few others are left that it is needed. */
  pardon(): void {
    this.#failures = 0;
    this.#move('in');
  }

  /** It has left the set. */
  stop(): void {
    this.#clearTimer();
  }

  #eject(settings: EjectionSettings, reason: string): void {
    const { clock, random, ejected } = this.#options;
    const now = clock.now();
    if (this.#state === 'in') {
      const forgiven = Math.floor((now - this.#readmittedAt) / settings.baseMs);
      this.#ejections = Math.max(0, this.#ejections - forgiven);
    }
    this.#ejections += 1;
    const forMs = Math.min(settings.maxMs, settings.baseMs * this.#ejections) * (1 - JITTER * random());
    const failures = this.#failures;
    this.#until = Math.round(Date.now() + forMs);
    if (!this.#move('ejected')) return;
    this.#timer = clock.setTimeout(() => {
      this.#move('due');
    }, forMs);
    ejected(forMs, failures, reason);
  }

  #move(to: StandingState): boolean {
    if (!TRANSITIONS[this.#state].includes(to)) return false;
    this.#clearTimer();
    this.#state = to;
    this.#options.changed();
    return true;
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
