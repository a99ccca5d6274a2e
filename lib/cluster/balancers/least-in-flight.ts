import { at, type Balancer, type Candidate, type Picker } from './balancer.js';

/** The endpoint with the fewest calls in flight for its weight. Equals take turns. */
export class LeastInFlight implements Balancer {
  /** Where the search begins. */
  #turn = 0;

  picker<C extends Candidate>(candidates: readonly C[]): Picker<C> {
    return {
      pick: () => {
        this.#turn = (this.#turn + 1) % candidates.length;
        let best = at(candidates, this.#turn);
        let least = best.inFlight / best.weight;
        for (let i = 1; i < candidates.length && least > 0; i++) {
          const candidate = at(candidates, (this.#turn + i) % candidates.length);
          const load = candidate.inFlight / candidate.weight;
          if (load >= least) continue;
          best = candidate;
          least = load;
        }
        return best;
      },
    };
  }
}
