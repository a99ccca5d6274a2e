import { expect } from '@jest/globals';
import { Cluster, type ClusterOptions } from '../../../lib/cluster/cluster.js';
import { parseEndpoint, type EndpointAddress } from '../../../lib/cluster/endpoint-address.js';
import type { EndpointResolver, ResolverListener } from '../../../lib/cluster/resolver.js';
import { resolveOptions } from '../../../lib/common/options.js';
import { poolRules, type PoolOptions } from '../../../lib/pool/settings.js';
import { FakeFactory, type FakeResource } from '../../support/fake-factory.js';
import { RecordingLogger } from '../../support/logs.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { BACKOFF } from '../pool/pool-setup.js';

export const A = 'a:1';
export const B = 'b:2';

/** Yields what the test says, when it says it. */
export class HandResolver implements EndpointResolver {
  listener: ResolverListener | undefined;
  isStopped = false;
  readonly #first: readonly EndpointAddress[];

  /** @param first yielded at once */
  constructor(first: readonly EndpointAddress[]) {
    this.#first = first;
  }

  watch(listener: ResolverListener): () => void {
    this.listener = listener;
    listener.update(this.#first);
    return () => {
      this.isStopped = true;
    };
  }
}

/** A cluster on fake factories and a step clock; exclusive, because that shows one resource for one caller. */
export function clusterOf(
  settings: PoolOptions = {},
  first: readonly EndpointAddress[] = [A, B],
  options: Partial<ClusterOptions<FakeResource>> = {},
) {
  const clock = new StepClock();
  const logger = new RecordingLogger();
  const resolver = new HandResolver(first);
  const connected: boolean[] = [];
  const factories = new Map<string, FakeFactory>();
  const at = (address: string): FakeFactory => {
    const factory = factories.get(address) ?? new FakeFactory({ dialling: 'succeeds' });
    factories.set(address, factory);
    return factory;
  };
  const cluster = new Cluster<FakeResource>({
    name: 'orders',
    resolver,
    parse: (address) => parseEndpoint(address, 'endpoints', undefined),
    factory: ({ address }) => at(address),
    pool: resolveOptions(
      poolRules,
      { min: 1, max: 1, mode: 'exclusive', maxLifetimeMs: 0, idleTimeoutMs: 0, ...settings },
      'pool',
    ),
    backoff: BACKOFF,
    balancer: 'least-in-flight',
    ejection: false,
    clock,
    logger,
    events: { connected: (isConnected) => connected.push(isConnected) },
    ...options,
  });
  const expectNothingLeft = async (): Promise<void> => {
    cluster.destroy();
    await settled();
    expect([...factories.values()].map(({ open, pending }) => open + pending.size)).toEqual(
      Array.from(factories, () => 0),
    );
    expect(cluster.waiting).toBe(0);
    expect(clock.pending).toBe(0);
  };
  return { cluster, clock, logger, resolver, connected, at, expectNothingLeft };
}
