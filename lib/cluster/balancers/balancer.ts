import type { Latency } from './latency.js';

/** What a balancer may know of an endpoint. */
export interface Candidate {
  readonly address: string;
  /** Its share of the calls beside the others'; above 0. */
  readonly weight: number;
  /** Calls under way. */
  readonly inFlight: number;
  readonly latency: Latency;
}

/** Chooses among the candidates that it was made for. Called for every request: allocates nothing. */
export interface Picker<C extends Candidate> {
  pick(): C;
}

/**
 * A way to spread calls. It never sees an endpoint that may get none: whenever that changes, a new picker is made
 * from those that may. What has to outlive a picker, such as whose turn it is, the balancer keeps.
 */
export interface Balancer {
  /** @param candidates at least one */
  picker<C extends Candidate>(candidates: readonly C[]): Picker<C>;
}

/** Where no weight was given, or all are the same, each way has a shorter form. */
export function haveEqualWeights(candidates: readonly Candidate[]): boolean {
  return candidates.every(({ weight }) => weight === candidates[0]?.weight);
}

/** An element that is known to be there. */
export function at<T>(list: readonly T[], index: number): T {
  return list[index] as T;
}
