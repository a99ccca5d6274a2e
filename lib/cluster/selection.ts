import { at, type Balancer, type Picker } from './balancers/balancer.js';
import { Rendezvous } from './balancers/rendezvous.js';
import type { Endpoint } from './endpoint.js';

/**
 * Which endpoints may get calls, and which of them gets the next. Made anew whenever that may have changed: picking
 * itself asks nothing but load.
 */
export class Selection<R> {
  readonly #balancer: Balancer;
  #candidates: readonly Endpoint<R>[] = [];
  #picker: Picker<Endpoint<R>> | undefined;
  #pins: Rendezvous<Endpoint<R>> | undefined;
  /** Where the search for a free slot elsewhere begins. */
  #turn = 0;

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
  }

  /** Looks at the endpoints again; true when others may get calls than before, or with other weights. */
  update(endpoints: readonly Endpoint<R>[]): boolean {
    const candidates = candidatesOf(endpoints);
    const before = this.#candidates;
    const isSame = candidates.length === before.length && candidates.every((endpoint, i) => endpoint === before[i]);
    if (isSame) return false;
    this.#take(candidates);
    return true;
  }

  /** Weights have changed: they are part of a picker. */
  renew(): void {
    this.#take(this.#candidates);
  }

  /**
   * The endpoint for the next call; with a key, the same one for as long as it may get calls, and then the next in
   * the order of its hashes. Undefined without endpoints.
   */
  pick(key: string | undefined): Endpoint<R> | undefined {
    if (key === undefined) return this.#picker?.pick();
    this.#pins ??= this.#candidates.length > 0 ? new Rendezvous(this.#candidates) : undefined;
    return this.#pins?.pick(key);
  }

  /** What the search yields for one of the others, each of which is tried once. */
  firstOther<T>(tried: Endpoint<R>, search: (endpoint: Endpoint<R>) => T | undefined): T | undefined {
    const { length } = this.#candidates;
    this.#turn = (this.#turn + 1) % length;
    for (let i = 0; i < length; i++) {
      const endpoint = at(this.#candidates, (this.#turn + i) % length);
      const found = endpoint === tried ? undefined : search(endpoint);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #take(candidates: readonly Endpoint<R>[]): void {
    for (const endpoint of this.#candidates) endpoint.isCandidate = false;
    for (const endpoint of candidates) endpoint.isCandidate = true;
    this.#candidates = candidates;
    this.#pins = undefined;
    const [only] = candidates;
    this.#picker = only === undefined || candidates.length > 1 ? this.#pickerOf(candidates) : { pick: () => only };
  }

  #pickerOf(candidates: readonly Endpoint<R>[]): Picker<Endpoint<R>> | undefined {
    return candidates.length === 0 ? undefined : this.#balancer.picker(candidates);
  }
}

/**
 * Of those that are neither down nor out, the ones of the best priority. Where there is none, ejection does not
 * count; where all are down, whichever comes back first will do.
 */
function candidatesOf<R>(endpoints: readonly Endpoint<R>[]): readonly Endpoint<R>[] {
  const up = endpoints.filter(({ isDown }) => !isDown);
  if (up.length === 0) return endpoints;
  const inGood = up.filter(({ standing }) => !standing.isOut);
  const usable = inGood.length > 0 ? inGood : up;
  const best = Math.min(...usable.map(({ priority }) => priority));
  return usable.filter(({ priority }) => priority === best);
}
