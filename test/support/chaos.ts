import type { Direction, FaultOptions, FaultProxy, FaultScope } from '../../lib/testing/index.js';

type Random = () => number;

/** What may happen to a proxy; the names are for the figures. */
type Mischief = readonly [name: string, begin: (proxy: FaultProxy, random: Random) => void];

const between = (random: Random, from: number, to: number): number => Math.floor(from + random() * (to - from));

function directionOf(random: Random): Direction | undefined {
  return ([undefined, 'toServer', 'toClient'] as const)[between(random, 0, 3)];
}

/** Sets a fault on all connections, on new ones, or on one; in one direction or both. */
function set(proxy: FaultProxy, random: Random, faults: FaultOptions): void {
  const direction = directionOf(random);
  const one = random() < 0.5 ? pick(proxy, random) : undefined;
  const connections: FaultScope['connections'] = random() < 0.3 ? 'new' : 'open';
  if (one === undefined) proxy.set(faults, { direction, connections });
  else one.set(faults, direction);
}

function pick(proxy: FaultProxy, random: Random): FaultProxy['connections'][number] | undefined {
  const { connections } = proxy;
  return connections[between(random, 0, connections.length)];
}

const MISCHIEF: readonly Mischief[] = [
  ['latency', (proxy, random) => set(proxy, random, { latencyMs: between(random, 1, 150) })],
  ['jitter', (proxy, random) => set(proxy, random, { jitterMs: between(random, 1, 100) })],
  ['bandwidth', (proxy, random) => set(proxy, random, { bytesPerSecond: between(random, 5_000, 2_000_000) })],
  ['slices', (proxy, random) => set(proxy, random, { sliceBytes: between(random, 1, 50) })],
  ['stall', (proxy, random) => set(proxy, random, { stall: true })],
  ['blackhole', (proxy, random) => set(proxy, random, { blackhole: true })],
  [
    'limit, then reset',
    (proxy, random) => set(proxy, random, { limit: { afterBytes: between(random, 0, 5_000), then: 'reset' } }),
  ],
  [
    'limit, then end',
    (proxy, random) => set(proxy, random, { limit: { afterBytes: between(random, 0, 5_000), then: 'end' } }),
  ],
  ['reset', (proxy, random) => pick(proxy, random)?.reset()],
  ['reset of one end', (proxy, random) => pick(proxy, random)?.reset(directionOf(random))],
  ['half-close', (proxy, random) => pick(proxy, random)?.end(directionOf(random) ?? 'toClient')],
  ['reset of all', (proxy) => proxy.reset()],
  ['refuse', (proxy) => proxy.refuse()],
];

/** Only where something notices: the wire has no checksum of its own, TLS does. */
const DAMAGE: Mischief = ['corrupt', (proxy, random) => set(proxy, random, { corrupt: 10 ** -between(random, 2, 5) })];

/** One mischief after the other, at random; the same for the same seed as far as the network allows. */
export class Chaos {
  /** How often each happened. */
  readonly counts: Record<string, number> = {};
  readonly #proxies: readonly FaultProxy[];
  readonly #random: Random;
  readonly #mischief: readonly Mischief[];

  constructor(proxies: readonly FaultProxy[], random: Random, { corrupts }: { readonly corrupts: boolean }) {
    this.#proxies = proxies;
    this.#random = random;
    this.#mischief = corrupts ? [...MISCHIEF, DAMAGE] : MISCHIEF;
  }

  /** Does something to one proxy, or takes back what was done to it. Returns the milliseconds until the next. */
  async step(): Promise<number> {
    const random = this.#random;
    const proxy = this.#proxies[between(random, 0, this.#proxies.length)];
    if (proxy === undefined) throw new Error('chaos needs a proxy');
    if (random() < 0.45) {
      proxy.heal();
      await proxy.accept();
    } else {
      const [name = '', begin] = this.#mischief[between(random, 0, this.#mischief.length)] ?? [];
      this.counts[name] = (this.counts[name] ?? 0) + 1;
      begin?.(proxy, random);
    }
    return between(random, 5, 80);
  }

  /** Takes everything back. */
  async end(): Promise<void> {
    for (const proxy of this.#proxies) {
      proxy.heal();
      await proxy.accept();
    }
  }
}
