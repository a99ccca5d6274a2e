import type { Clock } from '../../common/clock.js';
import { oneOf } from '../../common/options.js';
import type { Balancer } from './balancer.js';
import { LeastInFlight } from './least-in-flight.js';
import { RoundRobin } from './round-robin.js';
import { TwoChoices } from './two-choices.js';

/**
 * - `p2c`: of two drawn at random, the one with the lower latency times calls in flight
 * - `round-robin`: one after the other
 * - `least-in-flight`: the one with the fewest calls in flight
 * - `consistent-hash`: by the call's `key`, which pins with every balancer; calls without one as `p2c`
 */
export type BalancerName = 'p2c' | 'round-robin' | 'least-in-flight' | 'consistent-hash';

export const balancerRule = oneOf<BalancerName>({
  default: 'p2c',
  of: ['p2c', 'round-robin', 'least-in-flight', 'consistent-hash'],
  text: 'How calls are spread over endpoints. `p2c`: of two drawn at random, the one with the lower latency times calls in flight. A call with a `key` is pinned by consistent hash whatever is written here; `consistent-hash` says that this is how they should be, and spreads those without one as `p2c`.',
});

export function createBalancer(name: BalancerName, random: () => number, clock: Clock): Balancer {
  switch (name) {
    case 'round-robin':
      return new RoundRobin();
    case 'least-in-flight':
      return new LeastInFlight();
    case 'p2c':
    case 'consistent-hash':
      return new TwoChoices(random, clock);
  }
}
