import type { Latency } from './questions.js';

/** Latencies of one run, kept whole: percentiles are then exact. */
export class Latencies {
  #values = new Float64Array(16 * 1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(ms: number): void {
    if (this.#size === this.#values.length) {
      const grown = new Float64Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#size++] = ms;
  }

  summary(): Latency {
    const sorted = this.#values.slice(0, this.#size).sort();
    const at = (share: number): number => sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? NaN;
    return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
  }
}
