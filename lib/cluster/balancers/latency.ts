/** A slow answer is half forgotten after 1.4 s, and after 10 s it counts for nothing. */
const DECAY_MS = 2_000;
/** Each answer moves the mean by this part of the difference. */
const MEAN_STEP = 1 / 64;
/** Below this, clocks say more about themselves than about a peer. */
const SHORTEST_MS = 0.01;
/** More than any latency times any number of calls: an endpoint that has not answered yet waits for its first. */
const UNKNOWN = 1e15;

/** Mean latency of all endpoints of a cluster: what an endpoint is taken for once its own is forgotten. */
export class MeanLatency {
  #ms = 0;

  get ms(): number {
    return this.#ms;
  }

  observe(latencyMs: number): void {
    this.#ms = this.#ms === 0 ? latencyMs : this.#ms + (latencyMs - this.#ms) * MEAN_STEP;
  }
}

/**
 * Latency of one endpoint as Finagle's `PeakEwma` sees it: a slower answer counts at once and whole, faster ones by
 * and by, according to the time that has passed
 * (https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/PeakEwma.scala,
 * used by Linkerd too).
 *
 * Two things differ. It is forgotten within seconds and not within a minute: calls over a LAN take about a
 * millisecond, and one pause for garbage must not keep an endpoint idle for long. And it is forgotten towards the
 * mean of all endpoints, not towards zero: an endpoint that has stopped to answer would otherwise look faster with
 * each second of its silence.
 */
export class Latency {
  readonly #mean: MeanLatency;
  #ms = 0;
  #at = 0;

  constructor(mean: MeanLatency) {
    this.#mean = mean;
  }

  /** An answer came, after so long. */
  answered(latencyMs: number, now: number): void {
    const observed = Math.max(latencyMs, SHORTEST_MS);
    this.#mean.observe(observed);
    this.#observe(observed, now);
  }

  /** No answer came, for so long. Says nothing about how long answers take elsewhere. */
  failed(elapsedMs: number, now: number): void {
    this.#observe(Math.max(elapsedMs, SHORTEST_MS), now);
  }

  /** A call was refused: fast, and of no use. Counts as an answer twice as slow as the estimate. */
  refused(now: number): void {
    this.#observe(2 * Math.max(this.estimate(now), this.#mean.ms, SHORTEST_MS), now);
  }

  /** Expected time for an answer; 0 before the first. */
  estimate(now: number): number {
    if (this.#ms === 0 || now === this.#at) return this.#ms;
    const mean = this.#mean.ms;
    return mean + (this.#ms - mean) * remaining(now - this.#at);
  }

  /**
   * What one more call would meet: the expected time, for itself and for each call before it. An endpoint that has
   * never answered gets one call, and the next when that has been answered.
   */
  load(inFlight: number, weight: number, now: number): number {
    if (this.#ms === 0) return inFlight === 0 ? 0 : UNKNOWN + inFlight / weight;
    return this.estimate(now) * (1 + inFlight / weight);
  }

  #observe(ms: number, now: number): void {
    const kept = this.#ms === 0 ? 0 : remaining(now - this.#at);
    const mean = this.#mean.ms;
    const isPeak = ms >= mean + (this.#ms - mean) * kept;
    this.#ms = isPeak ? ms : ms + (this.#ms - ms) * kept;
    this.#at = now;
  }
}

/** What is left of an observation; of a recent one by the first term of the series, a tenth of the cost of exp(). */
function remaining(elapsedMs: number): number {
  const decay = elapsedMs / DECAY_MS;
  return decay < 0.01 ? 1 - decay : Math.exp(-decay);
}
