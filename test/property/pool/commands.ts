import assert from 'node:assert';
import fc from 'fast-check';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { settled, type World } from './world.js';

/** How many commands have run, to show that the test was as large as it claims. */
export const executed = { commands: 0 };

/** One step: something happens to the pool, and then the pool is compared with the model. */
class Step implements fc.AsyncCommand<object, World> {
  readonly #name: string;
  readonly #act: (world: World) => void;

  constructor(name: string, act: (world: World) => void) {
    this.#name = name;
    this.#act = act;
  }

  check(): boolean {
    return true;
  }

  async run(_model: object, world: World): Promise<void> {
    executed.commands += 1;
    this.#act(world);
    await settled();
    world.check();
  }

  toString(): string {
    return this.#name;
  }
}

const index = fc.nat(30);

function step<T>(name: string, values: fc.Arbitrary<T>, act: (world: World, value: T) => void): fc.Arbitrary<Step> {
  return values.map((value) => new Step(`${name}(${JSON.stringify(value)})`, (world) => act(world, value)));
}

function pick<T>(items: Iterable<T>, at: number): T | undefined {
  const list = [...items];
  return list[at % Math.max(list.length, 1)];
}

const acquire = step(
  'acquire',
  fc.record({ whole: fc.boolean(), timeoutMs: fc.option(fc.integer({ min: 1, max: 5_000 }), { nil: undefined }) }),
  (world, { whole, timeoutMs }) => world.acquire(whole, timeoutMs),
);

const release = step('release', index, (world, at) => world.giveBack(at, 'release'));

const dialSucceeds = step('dialSucceeds', index, (world, at) => pick(world.factory.pending, at)?.succeed());

/** Commands and how often each is drawn. */
export const steps: fc.Arbitrary<Step>[] = [
  acquire,
  acquire,
  acquire,
  step('burst', fc.integer({ min: 5, max: 300 }), (world, size) => {
    for (let i = 0; i < Math.min(size, world.burst); i++) world.acquire(false, undefined);
  }),
  release,
  release,
  dialSucceeds,
  dialSucceeds,
  step('tryAcquire', fc.constant(0), (world) => world.tryAcquire()),
  step('discard', index, (world, at) => world.giveBack(at, 'discard')),
  step('releaseAgain', index, (world, at) => {
    const lease = pick(world.over, at);
    if (lease === undefined) return;
    assert.throws(
      () => lease.release(),
      (error) => error instanceof PooledTcpError && error.code.startsWith('PTCP_LEASE_'),
    );
    assert.throws(() => lease.resource, PooledTcpError);
  }),
  step('abort', index, (world, at) => pick(world.waiting, at)?.abort.abort()),
  step('dialFails', index, (world, at) => pick(world.factory.pending, at)?.reject()),
  step('dialSucceedsAndDies', index, (world, at) => world.dieAtOnce(pick(world.factory.pending, at))),
  step('dies', index, (world, at) => {
    const resource = pick(world.factory.openResources, at);
    if (resource !== undefined) world.lose(resource);
  }),
  step('validationPasses', index, (world, at) => {
    const validation = pick(world.unanswered, at);
    if (validation !== undefined) world.pass(validation);
  }),
  step('signOfLife', index, (world, at) => {
    const resource = pick(world.factory.openResources, at);
    if (resource !== undefined) resource.lastAliveAt = world.clock.now();
  }),
  step('validationFails', index, (world, at) => pick(world.unanswered, at)?.fail()),
  step('advance', fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 600, max: 30_000 })), (world, ms) =>
    world.clock.advance(ms),
  ),
  step('freeze', fc.integer({ min: 1_000, max: 120_000 }), (world, ms) => {
    world.clock.freeze(ms);
    world.clock.advance(1);
  }),
  step('setLimits', fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 8 })), (world, [min, max]) =>
    world.setLimits(min, max),
  ),
  step('retire', index, (world, at) => {
    const resource = pick(world.factory.openResources, at);
    if (resource === undefined) return;
    world.refusing.add(resource);
    world.retiring.add(resource);
    world.pool.retire(resource);
  }),
  step('evict', fc.constant(0), (world) => {
    for (const resource of world.factory.openResources) world.retiring.add(resource);
    world.pool.evict();
  }),
  step('suspend', fc.constant(0), (world) => world.pool.suspend()),
  step('resume', fc.constant(0), (world) => world.pool.resume()),
  step('resume', fc.constant(0), (world) => world.pool.resume()),
];

/** Rare, because little happens afterwards. */
export const endings: fc.Arbitrary<Step>[] = [
  step('close', fc.constant(0), (world) => {
    void world.pool.close();
  }),
  step('destroy', fc.constant(0), (world) => world.pool.destroy()),
];
