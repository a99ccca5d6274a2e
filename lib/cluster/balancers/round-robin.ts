import { at, haveEqualWeights, type Balancer, type Candidate, type Picker } from './balancer.js';

/** One after the other, whatever each has to do. With weights, as nginx does: smooth, without runs of one. */
export class RoundRobin implements Balancer {
  /** Outlives the pickers: otherwise a set that changes often would favour its first. */
  #turn = 0;

  picker<C extends Candidate>(candidates: readonly C[]): Picker<C> {
    if (!haveEqualWeights(candidates)) return new SmoothTurns(candidates);
    return {
      pick: () => {
        this.#turn = (this.#turn + 1) % candidates.length;
        return at(candidates, this.#turn);
      },
    };
  }
}

/**
 * Smooth weighted round robin (https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1): with
 * every turn each candidate gains its weight, and the one that has most is picked and pays what all have gained.
 */
class SmoothTurns<C extends Candidate> implements Picker<C> {
  readonly #candidates: readonly C[];
  readonly #credit: Float64Array;

  constructor(candidates: readonly C[]) {
    this.#candidates = candidates;
    this.#credit = new Float64Array(candidates.length);
  }

  pick(): C {
    const credit = this.#credit;
    let total = 0;
    let best = 0;
    for (let i = 0; i < credit.length; i++) {
      const { weight } = at(this.#candidates, i);
      total += weight;
      credit[i] = (credit[i] ?? 0) + weight;
      if ((credit[i] ?? 0) > (credit[best] ?? 0)) best = i;
    }
    credit[best] = (credit[best] ?? 0) - total;
    return at(this.#candidates, best);
  }
}
