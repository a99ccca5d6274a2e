import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Balancer, Candidate } from '../../../lib/cluster/balancers/balancer.js';
import { Latency, MeanLatency } from '../../../lib/cluster/balancers/latency.js';
import { LeastInFlight } from '../../../lib/cluster/balancers/least-in-flight.js';
import { Rendezvous } from '../../../lib/cluster/balancers/rendezvous.js';
import { RoundRobin } from '../../../lib/cluster/balancers/round-robin.js';
import { TwoChoices } from '../../../lib/cluster/balancers/two-choices.js';
import { seededRandom } from '../../../lib/testing/random.js';
import { StepClock } from '../../support/step-clock.js';

class FakeEndpoint implements Candidate {
  inFlight = 0;
  readonly latency: Latency;
  readonly address: string;
  readonly weight: number;

  constructor(address: string, weight = 1, mean = new MeanLatency()) {
    this.address = address;
    this.weight = weight;
    this.latency = new Latency(mean);
  }
}

const PICKS = 2_000;
const seeds = fc.integer();
const weights = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 8 });
const addresses = fc.uniqueArray(fc.ipV4(), { minLength: 2, maxLength: 16 });

/** How often each was picked, while calls end at once. */
function countsOf(balancer: Balancer, candidates: readonly FakeEndpoint[]): number[] {
  const picker = balancer.picker(candidates);
  const counts = new Map(candidates.map((candidate) => [candidate, 0]));
  for (let i = 0; i < PICKS; i++) {
    const picked = picker.pick();
    counts.set(picked, (counts.get(picked) ?? 0) + 1);
  }
  return candidates.map((candidate) => counts.get(candidate) ?? 0);
}

/** The same while calls never end: where the load goes. */
function fill(balancer: Balancer, candidates: readonly FakeEndpoint[], calls: number): number[] {
  const picker = balancer.picker(candidates);
  for (let i = 0; i < calls; i++) picker.pick().inFlight += 1;
  return candidates.map(({ inFlight }) => inFlight);
}

/** Endpoints that all answer in a millisecond. */
function endpointsOf(all: readonly number[], clock: StepClock): FakeEndpoint[] {
  const mean = new MeanLatency();
  return all.map((weight, i) => {
    const endpoint = new FakeEndpoint(`10.0.0.${i}:1`, weight, mean);
    endpoint.latency.answered(1, clock.now());
    return endpoint;
  });
}

describe('any balancer', () => {
  it('fills endpoints in proportion to their weights while calls pile up', () => {
    fc.assert(
      fc.property(seeds, weights, (seed, all) => {
        const clock = new StepClock();
        const total = all.reduce((sum, weight) => sum + weight, 0);
        for (const balancer of [new TwoChoices(seededRandom(seed), clock), new LeastInFlight(), new RoundRobin()]) {
          const counts = fill(balancer, endpointsOf(all, clock), PICKS);
          all.forEach((weight, i) => {
            const due = (PICKS * weight) / total;
            // Two draws of many leave some to chance; the others leave nothing.
            const slack = balancer instanceof TwoChoices ? 0.2 * due + 30 : all.length;
            expect(Math.abs((counts[i] ?? 0) - due)).toBeLessThanOrEqual(slack);
          });
        }
      }),
      { numRuns: 60 },
    );
  });

  it('spreads calls that come one at a time by weight too', () => {
    fc.assert(
      fc.property(seeds, weights, (seed, all) => {
        const clock = new StepClock();
        const total = all.reduce((sum, weight) => sum + weight, 0);
        for (const balancer of [new TwoChoices(seededRandom(seed), clock), new RoundRobin()]) {
          const counts = countsOf(balancer, endpointsOf(all, clock));
          all.forEach((weight, i) => {
            const due = (PICKS * weight) / total;
            // Five standard deviations of a draw.
            const slack = balancer instanceof TwoChoices ? 5 * Math.sqrt(due) + 1 : all.length;
            expect(Math.abs((counts[i] ?? 0) - due)).toBeLessThanOrEqual(slack);
          });
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('round robin', () => {
  it('lets nobody wait for a second turn while another waits for the first', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), (n) => {
        const candidates = Array.from({ length: n }, (_, i) => new FakeEndpoint(`e${i}:1`));
        const picker = new RoundRobin().picker(candidates);
        for (let round = 0; round < 3; round++) {
          expect(new Set(Array.from({ length: n }, () => picker.pick())).size).toBe(n);
        }
      }),
    );
  });

  it('goes on where it was when the set changes', () => {
    const balancer = new RoundRobin();
    const [a, b, c] = [new FakeEndpoint('a:1'), new FakeEndpoint('b:1'), new FakeEndpoint('c:1')];
    const picked = Array.from({ length: 6 }, () => balancer.picker([a, b, c]).pick());
    expect(new Set(picked.slice(0, 3))).toEqual(new Set([a, b, c]));
    expect(picked.slice(3)).toEqual(picked.slice(0, 3));
  });
});

describe('consistent hashing', () => {
  const KEYS = Array.from({ length: 1_000 }, (_, i) => `user:${i}`);
  const pins = (candidates: readonly FakeEndpoint[]): string[] => {
    const rendezvous = new Rendezvous(candidates);
    return KEYS.map((key) => rendezvous.pick(key).address);
  };
  const equal = (all: readonly string[]): FakeEndpoint[] => all.map((address) => new FakeEndpoint(address));

  it('moves only the keys of an endpoint that leaves, and about 1/n of all', () => {
    fc.assert(
      fc.property(addresses, fc.nat(), (all, at) => {
        const leaver = all[at % all.length];
        const before = pins(equal(all));
        const after = pins(equal(all.filter((address) => address !== leaver)));
        const moved = before.filter((address, i) => address !== after[i]);
        expect(moved.every((address) => address === leaver)).toBe(true);
        expect(moved).toHaveLength(before.filter((address) => address === leaver).length);
        // Joining is leaving, seen from the other side.
        const due = KEYS.length / all.length;
        expect(moved.length).toBeLessThan(due + 6 * Math.sqrt(due));
        expect(after).not.toContain(leaver);
      }),
      { numRuns: 60 },
    );
  });

  it('spreads the keys of one that leaves over all that stay', () => {
    fc.assert(
      fc.property(addresses, (all) => {
        const [leaver] = all;
        const before = pins(equal(all));
        const after = pins(equal(all.slice(1)));
        const moved = after.filter((_, i) => before[i] === leaver);
        const due = moved.length / (all.length - 1);
        for (const address of all.slice(1)) {
          expect(moved.filter((to) => to === address).length).toBeLessThan(due + 6 * Math.sqrt(due) + 6);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('does not depend on the order in which endpoints became known', () => {
    fc.assert(
      fc.property(addresses, seeds, (all, seed) => {
        const random = seededRandom(seed);
        const shuffled = all.map((address) => ({ address, at: random() })).sort((a, b) => a.at - b.at);
        expect(pins(equal(shuffled.map(({ address }) => address)))).toEqual(pins(equal(all)));
      }),
      { numRuns: 30 },
    );
  });

  it('gives each endpoint keys by its weight', () => {
    fc.assert(
      fc.property(weights, (all) => {
        const total = all.reduce((sum, weight) => sum + weight, 0);
        const found = pins(all.map((weight, i) => new FakeEndpoint(`10.1.0.${i}:4000`, weight)));
        all.forEach((weight, i) => {
          const due = (KEYS.length * weight) / total;
          const count = found.filter((address) => address === `10.1.0.${i}:4000`).length;
          expect(Math.abs(count - due)).toBeLessThan(6 * Math.sqrt(due));
        });
      }),
      { numRuns: 60 },
    );
  });

  it('moves only keys of the others to an endpoint whose weight grows', () => {
    const of = (weight: number): string[] =>
      pins([new FakeEndpoint('a:1', weight), new FakeEndpoint('b:1', 2), new FakeEndpoint('c:1', 3)]);
    const before = of(1);
    const after = of(2);
    const moved = after.filter((address, i) => address !== before[i]);
    expect(moved.length).toBeGreaterThan(0);
    expect(moved.every((address) => address === 'a:1')).toBe(true);
  });
});

describe('two choices over latency and load', () => {
  interface Server {
    readonly endpoint: FakeEndpoint;
    readonly latencyMs: (now: number) => number;
  }

  /** A hundred callers who call again as soon as they are answered; mean latency and calls of each server. */
  function simulate(balancer: Balancer, servers: readonly Server[], clock: StepClock, forMs: number) {
    const picker = balancer.picker(servers.map(({ endpoint }) => endpoint));
    const until = clock.now() + forMs;
    const calls = new Map(servers.map((server) => [server, 0]));
    let answers = 0;
    let waited = 0;
    const call = (): void => {
      const endpoint = picker.pick();
      const server = servers.find((one) => one.endpoint === endpoint);
      if (server === undefined) throw new Error('picked an endpoint that is not a candidate');
      const latencyMs = server.latencyMs(clock.now());
      endpoint.inFlight += 1;
      calls.set(server, (calls.get(server) ?? 0) + 1);
      clock.setTimeout(() => {
        endpoint.inFlight -= 1;
        endpoint.latency.answered(latencyMs, clock.now());
        answers += 1;
        waited += latencyMs;
        if (clock.now() < until) call();
      }, latencyMs);
    };
    for (let i = 0; i < 20; i++) call();
    clock.advance(forMs + 60_000);
    return { meanMs: waited / answers, calls: servers.map((server) => calls.get(server) ?? 0) };
  }

  const serversOf = (latencies: readonly ((now: number) => number)[]): Server[] => {
    const mean = new MeanLatency();
    return latencies.map((latencyMs, i) => ({ endpoint: new FakeEndpoint(`s${i}:1`, 1, mean), latencyMs }));
  };
  const uniform = (random: () => number): Balancer => ({
    picker: (candidates) => ({
      pick: () => {
        const picked = candidates[Math.floor(random() * candidates.length)];
        if (picked === undefined) throw new Error('no candidate');
        return picked;
      },
    }),
  });

  it('keep away from one slow endpoint of four: five times better than chance, with any seed', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const latencies = [() => 5, () => 5, () => 5, () => 200];
        const clock = new StepClock();
        const ours = simulate(new TwoChoices(seededRandom(seed), clock), serversOf(latencies), clock, 5_000);
        const other = new StepClock();
        const chance = simulate(uniform(seededRandom(seed)), serversOf(latencies), other, 5_000);
        expect(ours.meanMs * 5).toBeLessThan(chance.meanMs);
      }),
      { numRuns: 10 },
    );
  });

  it('come back to an endpoint that was slow once, within seconds', () => {
    const clock = new StepClock();
    const slowUntil = clock.now() + 1_000;
    const servers = serversOf([() => 5, (now) => (now < slowUntil ? 500 : 5)]);
    const balancer = new TwoChoices(seededRandom(7), clock);
    simulate(balancer, servers, clock, 1_000);
    const { calls } = simulate(balancer, servers, clock, 1_000);
    const [first = 0, second = 0] = calls;
    expect(second / (first + second)).toBeGreaterThan(0.4);
  });

  it('give an endpoint that has never answered one call, and more once it has', () => {
    const clock = new StepClock();
    const mean = new MeanLatency();
    const [warm, cold] = [new FakeEndpoint('warm:1', 1, mean), new FakeEndpoint('cold:1', 1, mean)];
    warm.latency.answered(1, clock.now());
    warm.inFlight = 100;
    const picker = new TwoChoices(seededRandom(1), clock).picker([warm, cold]);
    for (let i = 0; i < 20; i++) picker.pick().inFlight += 1;
    expect(cold.inFlight).toBe(1);
    cold.latency.answered(1, clock.now());
    for (let i = 0; i < 20; i++) picker.pick().inFlight += 1;
    expect(cold.inFlight).toBe(21);
  });

  it('do not take an endpoint that has stopped to answer for a fast one', () => {
    const clock = new StepClock();
    const mean = new MeanLatency();
    const [alive, mute] = [new FakeEndpoint('alive:1', 1, mean), new FakeEndpoint('mute:1', 1, mean)];
    for (const { latency } of [alive, mute]) latency.answered(10, clock.now());
    mute.inFlight = 4;
    for (let i = 0; i < 100; i++) {
      clock.advance(100);
      alive.latency.answered(10, clock.now());
    }
    expect(mute.latency.estimate(clock.now())).toBeGreaterThan(9);
    const picker = new TwoChoices(seededRandom(1), clock).picker([alive, mute]);
    for (let i = 0; i < 10; i++) expect(picker.pick()).toBe(alive);
  });

  it('keep away from an endpoint that refuses fast', () => {
    const clock = new StepClock();
    const mean = new MeanLatency();
    const [good, full] = [new FakeEndpoint('good:1', 1, mean), new FakeEndpoint('full:1', 1, mean)];
    for (const { latency } of [good, full]) latency.answered(10, clock.now());
    for (let i = 0; i < 4; i++) full.latency.refused(clock.now());
    good.inFlight = 10;
    expect(new TwoChoices(seededRandom(1), clock).picker([good, full]).pick()).toBe(good);
  });
});
