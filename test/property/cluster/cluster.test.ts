import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BalancerName } from '../../../lib/cluster/balancers/balancers.js';
import type { CallOutcome } from '../../../lib/cluster/cluster.js';
import type { Lease } from '../../../lib/pool/lease.js';
import { type FakeFactory, type FakeResource } from '../../support/fake-factory.js';
import { seededRandom } from '../../../lib/testing/random.js';
import { settled } from '../../support/step-clock.js';
import { outcomeOf } from '../../unit/pool/pool-setup.js';
import { clusterOf } from '../../unit/cluster/cluster-setup.js';

const ADDRESSES = ['a:1', 'b:1', 'c:1'];
const address = fc.constantFrom(...ADDRESSES);
const key = fc.constantFrom(undefined, undefined, 'k1', 'k2', 'k3', 'k4');

type Step =
  | { readonly do: 'try' | 'acquire'; readonly key: string | undefined; readonly whole: boolean }
  | { readonly do: 'release'; readonly at: number; readonly outcome: CallOutcome }
  | { readonly do: 'dialling'; readonly address: string; readonly how: FakeFactory['dialling'] }
  | { readonly do: 'lose' | 'dialled'; readonly address: string }
  | { readonly do: 'set'; readonly addresses: readonly string[] }
  | { readonly do: 'time'; readonly ms: number };

const outcomes = fc.constantFrom<CallOutcome>('answered', 'refused', 'late', 'late', 'lost', 'void');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('try', 'acquire'), key, whole: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('release'), at: fc.nat(), outcome: outcomes }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('dialling'),
      address,
      how: fc.constantFrom('by hand', 'succeeds', 'fails'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('lose', 'dialled'), address }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('set'), addresses: fc.subarray(ADDRESSES, { minLength: 1 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('time'), ms: fc.constantFrom(10, 100, 1_000) }) },
);

const worlds = fc.record({
  balancer: fc.constantFrom<BalancerName>('p2c', 'round-robin', 'least-in-flight', 'consistent-hash'),
  mode: fc.constantFrom('shared' as const, 'exclusive' as const),
  min: fc.nat({ max: 2 }),
  seed: fc.integer(),
  steps: fc.array(step, { minLength: 5, maxLength: 60 }),
});

describe('a cluster, whatever happens to its endpoints', () => {
  it('serves everybody who waits once the endpoints are well, ejects half at most, and leaves nothing', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async ({ balancer, mode, min, seed, steps }) => {
        const { cluster, clock, resolver, at, expectNothingLeft } = clusterOf(
          { mode, min, max: 2, acquireTimeoutMs: 3_600_000, maxInFlight: 2 },
          ADDRESSES,
          {
            balancer,
            random: seededRandom(seed),
            ejection: { failures: 2, baseMs: 500, maxMs: 2_000, maxShare: 0.5 },
          },
        );
        cluster.start();
        const held: Lease<FakeResource>[] = [];
        const waiters: ReturnType<typeof outcomeOf<Lease<FakeResource>>>[] = [];
        const gather = (): void => {
          for (const waiter of waiters.splice(0)) {
            expect(waiter.error).toBeUndefined();
            if (waiter.value === undefined) waiters.push(waiter);
            else held.push(waiter.value);
          }
        };
        const release = (at: number, outcome: CallOutcome): void => {
          const [lease] = held.splice(at % held.length, 1);
          if (lease === undefined) return;
          cluster.report(lease.resource, outcome, clock.now() - 5, clock.now());
          lease.release();
        };
        for (const one of steps) {
          if (one.do === 'try') {
            const lease = cluster.tryAcquire(one);
            if (lease !== undefined) held.push(lease);
          }
          if (one.do === 'acquire') waiters.push(outcomeOf(cluster.acquire({ key: one.key, whole: one.whole })));
          if (one.do === 'release' && held.length > 0) release(one.at, one.outcome);
          if (one.do === 'dialling') at(one.address).dialling = one.how;
          if (one.do === 'lose') for (const resource of at(one.address).openResources) resource.lose();
          if (one.do === 'dialled') for (const dial of at(one.address).pending) dial.succeed();
          if (one.do === 'set') resolver.listener?.update(one.addresses);
          if (one.do === 'time') await clock.run(one.ms, 100);
          await settled();
          gather();
          const stats = cluster.stats().filter(({ state }) => state !== 'draining');
          const ejected = stats.filter(({ ejectedUntil }) => ejectedUntil !== null);
          expect(ejected.length).toBeLessThanOrEqual(Math.floor(stats.length / 2));
        }
        // All is well again: whoever waits is served, each by a slot that another gives back.
        for (const each of ADDRESSES) {
          at(each).dialling = 'succeeds';
          for (const dial of at(each).pending) dial.succeed();
        }
        await clock.run(3_000, 100);
        gather();
        for (let rounds = 0; waiters.length > 0 && rounds < 100; rounds++) {
          while (held.length > 0) release(0, 'answered');
          await settled();
          gather();
        }
        expect(waiters).toHaveLength(0);
        while (held.length > 0) release(0, 'answered');
        await settled();
        expect(cluster.waiting).toBe(0);
        await expectNothingLeft();
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
