import { at, haveEqualWeights, type Candidate } from './balancer.js';

/**
 * Pins keys to endpoints by rendezvous hashing (Thaler and Ravishankar, 1998): every endpoint draws a number from
 * the key and its own address, and the highest wins. When an endpoint goes, only its keys move, each to the one that
 * was second; when it comes back, exactly those return. Nothing is kept or rebuilt, and every process that knows the
 * same addresses pins the same way, in whatever order it learned them.
 *
 * A ring needs a hundred points for each endpoint to be as even, a table as Maglev's moves a few more keys than it
 * must, and jump hash can only lose its last bucket. Their gain, a look-up that does not grow with the number of
 * endpoints, is none for the dozens that a client has. A bound on the load (Mirrokni et al., 2016) is left out on
 * purpose: it moves keys while their endpoint lives, and a session would then be on two servers.
 */
export class Rendezvous<C extends Candidate> {
  readonly #candidates: readonly C[];
  readonly #seeds: Int32Array;
  readonly #isWeighted: boolean;

  /** @param candidates at least one */
  constructor(candidates: readonly C[]) {
    this.#candidates = candidates;
    this.#seeds = Int32Array.from(candidates, ({ address }) => mixed(hashed(address)));
    this.#isWeighted = !haveEqualWeights(candidates);
  }

  pick(key: string): C {
    const hash = hashed(key);
    let best = 0;
    let highest = -Infinity;
    for (let i = 0; i < this.#seeds.length; i++) {
      const drawn = mixed(hash ^ (this.#seeds[i] ?? 0)) >>> 0;
      const score = this.#isWeighted ? at(this.#candidates, i).weight / -Math.log((drawn + 0.5) / 2 ** 32) : drawn;
      if (score > highest || (score === highest && this.#isBefore(i, best))) {
        best = i;
        highest = score;
      }
    }
    return at(this.#candidates, best);
  }

  /** Equal numbers are decided by the address, since every process must decide alike. */
  #isBefore(a: number, b: number): boolean {
    return at(this.#candidates, a).address < at(this.#candidates, b).address;
  }
}

/** FNV-1a over UTF-16 code units, and mixed, since FNV alone leaves similar keys close to each other. */
function hashed(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mixed(hash);
}

/** The finalizer of MurmurHash3: every bit of the input reaches every bit of the result. */
function mixed(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
