import type { Clock } from '../../common/clock.js';
import { at, haveEqualWeights, type Balancer, type Candidate, type Picker } from './balancer.js';

/**
 * Of two endpoints drawn at random, the one where a call would have to wait less: expected latency times calls in
 * flight. Two draws are enough to keep the fullest endpoint near the mean (Mitzenmacher, "The Power of Two Choices in
 * Randomized Load Balancing", 2001), and unlike the best of all, two draws differ from client to client, so that a
 * fleet does not rush to one endpoint. As Finagle's and Linkerd's default balancer.
 */
export class TwoChoices implements Balancer {
  readonly #random: () => number;
  readonly #clock: Clock;

  constructor(random: () => number, clock: Clock) {
    this.#random = random;
    this.#clock = clock;
  }

  picker<C extends Candidate>(candidates: readonly C[]): Picker<C> {
    return haveEqualWeights(candidates)
      ? new EqualChoices(candidates, this.#random, this.#clock)
      : new WeightedChoices(candidates, this.#random, this.#clock);
  }
}

/** The two are never the same. */
class EqualChoices<C extends Candidate> implements Picker<C> {
  readonly #candidates: readonly C[];
  readonly #random: () => number;
  readonly #clock: Clock;

  constructor(candidates: readonly C[], random: () => number, clock: Clock) {
    this.#candidates = candidates;
    this.#random = random;
    this.#clock = clock;
  }

  pick(): C {
    const { length } = this.#candidates;
    const i = Math.floor(this.#random() * length);
    const first = at(this.#candidates, i);
    if (length === 1) return first;
    const j = Math.floor(this.#random() * (length - 1));
    const second = at(this.#candidates, j < i ? j : j + 1);
    return lighter(first, second, this.#clock.now());
  }
}

/**
 * Each is drawn by its weight, and they may be the same. So the weights, which somebody has set on purpose, hold on
 * average, and latency decides the rest.
 */
class WeightedChoices<C extends Candidate> implements Picker<C> {
  readonly #candidates: readonly C[];
  readonly #total: number;
  readonly #random: () => number;
  readonly #clock: Clock;

  constructor(candidates: readonly C[], random: () => number, clock: Clock) {
    this.#candidates = candidates;
    this.#total = candidates.reduce((total, { weight }) => total + weight, 0);
    this.#random = random;
    this.#clock = clock;
  }

  pick(): C {
    const first = this.#draw();
    const second = this.#draw();
    return first === second ? first : lighter(first, second, this.#clock.now());
  }

  #draw(): C {
    let left = this.#random() * this.#total;
    let drawn = at(this.#candidates, 0);
    for (let i = 0; left >= 0 && i < this.#candidates.length; i++) {
      drawn = at(this.#candidates, i);
      left -= drawn.weight;
    }
    return drawn;
  }
}

/** The first of equals: it was drawn at random too. */
function lighter<C extends Candidate>(a: C, b: C, now: number): C {
  return b.latency.load(b.inFlight, b.weight, now) < a.latency.load(a.inFlight, a.weight, now) ? b : a;
}
