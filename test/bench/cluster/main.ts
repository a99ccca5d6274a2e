import { backoffRules } from '../../../lib/common/backoff.js';
import { systemClock } from '../../../lib/common/clock.js';
import { resolveOptions } from '../../../lib/common/options.js';
import { Cluster, type Keyed } from '../../../lib/cluster/cluster.js';
import type { BalancerName } from '../../../lib/cluster/balancers/balancers.js';
import { parseEndpoint } from '../../../lib/cluster/endpoint-address.js';
import { staticEndpoints } from '../../../lib/cluster/resolver.js';
import { poolRules } from '../../../lib/pool/settings.js';
import { median, spread, table } from '../report.js';

/** `npm run bench -- cluster`: what it costs to choose an endpoint, borrow a slot, report and give it back. */

const ROUNDS = 9;
const CYCLES = 300_000;
/** Calls under way meanwhile. */
const IN_FLIGHT = 64;
const SIZES = [1, 2, 3, 16];
const BALANCERS: readonly BalancerName[] = ['p2c', 'round-robin', 'least-in-flight'];

interface Resource {
  readonly id: number;
}

async function clusterOf(size: number, balancer: BalancerName): Promise<Cluster<Resource>> {
  let lastId = 0;
  const cluster = new Cluster<Resource>({
    name: 'bench',
    resolver: staticEndpoints(Array.from({ length: size }, (_, i) => `10.0.0.${i}:4000`)),
    parse: (address) => parseEndpoint(address, 'endpoints', undefined),
    factory: () => ({ create: () => Promise.resolve({ id: lastId++ }), destroy: () => undefined }),
    pool: resolveOptions(poolRules, { min: 2, max: 2 }),
    backoff: resolveOptions(backoffRules, {}),
    balancer,
    ejection: { failures: 5, baseMs: 30_000, maxMs: 300_000, maxShare: 0.5 },
    clock: systemClock,
    logger: console,
  });
  await cluster.warm(1_000);
  return cluster;
}

/** Nanoseconds for one call: choose, borrow, report, give back. */
function cycle(cluster: Cluster<Resource>, cycles: number, call: Keyed | undefined): number {
  const held = Array.from({ length: IN_FLIGHT }, () => cluster.tryAcquire());
  const startedAt = process.hrtime.bigint();
  let now = systemClock.now();
  for (let i = 0; i < cycles; i++) {
    const oldest = i % IN_FLIGHT;
    if (oldest === 0) now = systemClock.now();
    const done = held[oldest];
    if (done !== undefined) {
      cluster.report(done.resource, 'answered', now - 1, now);
      done.release();
    }
    held[oldest] = cluster.tryAcquire(call);
  }
  const ns = Number(process.hrtime.bigint() - startedAt) / cycles;
  for (const lease of held) lease?.release();
  return ns;
}

export async function benchCluster(): Promise<void> {
  const rows: string[][] = [];
  for (const size of SIZES) {
    for (const [name, balancer, call] of [
      ...BALANCERS.map((each) => [each, each, undefined] as const),
      ['by key', 'p2c', { key: 'user:4711' }] as const,
    ]) {
      const cluster = await clusterOf(size, balancer);
      cycle(cluster, CYCLES, call);
      const times = Array.from({ length: ROUNDS }, () => cycle(cluster, CYCLES, call));
      rows.push([String(size), name, median(times).toFixed(0), spread(times)]);
      cluster.destroy();
    }
  }
  console.log(
    `\nChoose, borrow, report, give back, ns (median of ${ROUNDS} rounds, min–max), ${IN_FLIGHT} in flight\n`,
  );
  console.log(table(['endpoints', 'balancer', 'ns', ''], rows));
}
