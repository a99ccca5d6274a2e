import { duration, number, type OptionRules, type OptionsOf } from './options.js';

/**
 * Delays between attempts, as in gRPC's connection backoff
 * (https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md), with the initial delay set for a LAN.
 */
export interface BackoffSettings {
  /** First delay in milliseconds. Default 100. */
  initialMs: number;
  /** Longest delay in milliseconds. Default 30 000. */
  maxMs: number;
  /** Each delay is this many times the one before. Default 1.6. */
  factor: number;
  /** Part of the delay that is random, either way: 0.2 is ±20 %. Default 0.2. */
  jitter: number;
}

export type BackoffOptions = OptionsOf<BackoffSettings>;

export const backoffRules: OptionRules<BackoffSettings> = {
  initialMs: duration({ default: 100, min: 1, text: 'First delay after a failed dial.' }),
  maxMs: duration({ default: 30_000, min: 1, text: 'Longest delay between dials.' }),
  factor: number({ default: 1.6, min: 1, max: 10, text: 'Growth from one delay to the next.' }),
  jitter: number({
    default: 0.2,
    min: 0,
    max: 1,
    text: 'Random part of each delay, either way; keeps a fleet from dialling in step.',
  }),
};

/** Growing, jittered delays; one instance per endpoint. */
export class Backoff {
  #attempts = 0;
  readonly #settings: BackoffSettings;
  readonly #random: () => number;

  constructor(settings: BackoffSettings, random: () => number = Math.random) {
    this.#settings = settings;
    this.#random = random;
  }

  /** Failures since the last {@link reset}. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Counts a failure and returns the delay before the next attempt, in milliseconds. */
  next(): number {
    const { initialMs, maxMs, factor, jitter } = this.#settings;
    const delay = Math.min(maxMs, initialMs * factor ** this.#attempts);
    this.#attempts += 1;
    return delay * (1 + jitter * (2 * this.#random() - 1));
  }

  /** A success: the next delay is the first again. */
  reset(): void {
    this.#attempts = 0;
  }
}
