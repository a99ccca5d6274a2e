import assert from 'node:assert';
import { resolveOptions } from '../../../lib/common/options.js';
import { backoffRules } from '../../../lib/common/backoff.js';
import type { Lease } from '../../../lib/pool/lease.js';
import { Pool } from '../../../lib/pool/pool.js';
import { poolRules, type PoolMode, type PoolSettings } from '../../../lib/pool/settings.js';
import type { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { FakeFactory, type FakeDial, type FakeResource, type FakeValidation } from '../../support/fake-factory.js';
import { StepClock } from '../../support/step-clock.js';

export interface WorldOptions {
  readonly mode: PoolMode;
  readonly min: number;
  readonly max: number;
  readonly maxInFlight: number;
  readonly validates: boolean;
}

/** What `maxLifetimeMs` comes to with a random number of a half. */
const LIFETIME_MS = 90_000 * 0.875;
const MAX_WAITERS = 12;
/** As large as any limit that is drawn. */
const MOST_CONNECTIONS = 8;

/** One caller, as the reference model sees it. */
interface Caller {
  readonly order: number;
  readonly whole: boolean;
  readonly abort: AbortController;
  outcome: 'waiting' | Lease<FakeResource> | { readonly error: PooledTcpError };
}

/**
 * A pool under test beside a reference model of it: a plain list of callers in order of arrival, of leases in
 * hand, and of what the factory has open. After each step {@link check} compares the two.
 */
export class World {
  readonly clock = new StepClock();
  readonly factory: FakeFactory;
  readonly pool: Pool<FakeResource>;
  readonly slots: number;
  /** Leases in hand, the oldest first. */
  readonly held: Lease<FakeResource>[] = [];
  /** Leases that are over, to be used again against the rules. */
  readonly over: Lease<FakeResource>[] = [];
  readonly callers: Caller[] = [];
  max: number;
  isClosing = false;
  #settings: PoolSettings;
  #reclaimed = 0;
  /** When each resource was seen first. */
  readonly #bornAt = new Map<FakeResource, number>();
  #peak = 0;

  constructor({ mode, min, max, maxInFlight, validates }: WorldOptions) {
    this.factory = new FakeFactory({ validates });
    this.max = max;
    this.slots = mode === 'shared' ? maxInFlight : 1;
    this.#settings = resolveOptions(poolRules, {
      mode,
      min: mode === 'short' ? 0 : Math.min(min, max),
      max,
      maxInFlight,
      maxWaiters: MAX_WAITERS,
      acquireTimeoutMs: 3_000,
      leakWarnMs: 5_000,
      leakReclaimMs: 20_000,
      maxLifetimeMs: 90_000,
      idleTimeoutMs: 10_000,
    });
    this.pool = new Pool<FakeResource>(this.factory, {
      label: 'the world',
      settings: this.#settings,
      backoff: resolveOptions(backoffRules, { jitter: 0 }),
      clock: this.clock,
      random: () => 0.5,
      events: {
        // One that does not answer puts the others in doubt as much as one that is lost.
        closed: (resource, reason) => {
          if (reason === 'invalid') this.#doubtOthers(resource);
        },
        leaked: (lease, _heldMs, reclaimed) => {
          if (!reclaimed) return;
          this.#reclaimed += 1;
          this.#forget(lease);
        },
      },
    });
  }

  get waiting(): readonly Caller[] {
    return this.callers.filter(({ outcome }) => outcome === 'waiting');
  }

  /** Questions for a sign of life that can still be answered. */
  get unanswered(): readonly FakeValidation[] {
    return this.factory.validations.filter(({ isAnswered, resource }) => !isAnswered && this.factory.isOpen(resource));
  }

  /** As many callers at once as make a difference. */
  get burst(): number {
    return this.slots > 4 ? 300 : 40;
  }

  /** The peer answers; a question from before the latest loss says nothing about what has happened since. */
  pass(validation: FakeValidation): void {
    const { resource } = validation;
    validation.pass();
    const isLast = !this.factory.validations
      .slice(this.factory.validations.indexOf(validation) + 1)
      .some((later) => later.resource === resource);
    if (isLast) this.#doubtful.delete(resource);
  }

  lose(resource: FakeResource): void {
    resource.lose();
    if (this.factory.validate !== undefined && !this.refusing.has(resource)) this.#doubtOthers(resource);
  }

  #doubtOthers(resource: FakeResource): void {
    const others = this.factory.openResources.filter((other) => other !== resource);
    for (const other of others) this.#doubtful.set(other, this.clock.now());
  }

  dieAtOnce(dial: FakeDial | undefined): void {
    dial?.succeed().lose('closed right after the hello');
  }

  acquire(whole: boolean, timeoutMs: number | undefined): void {
    const abort = new AbortController();
    const caller: Caller = { order: this.callers.length, whole, abort, outcome: 'waiting' };
    const room = MAX_WAITERS + this.#slotsInQuestion() - this.waiting.length;
    this.callers.push(caller);
    this.pool.acquire({ whole, timeoutMs, signal: abort.signal }).then(
      (lease) => {
        assert.equal(caller.outcome, 'waiting', 'a caller was answered twice');
        this.#checkTurn(caller);
        this.#checkNoDoubt(lease);
        caller.outcome = lease;
        assert.ok(!this.held.includes(lease), 'one lease in two hands');
        this.held.push(lease);
      },
      (error: unknown) => {
        assert.equal(caller.outcome, 'waiting', 'a caller was answered twice');
        caller.outcome = { error: error as PooledTcpError };
        if (caller.outcome.error.code === 'PTCP_POOL_EXHAUSTED')
          assert.ok(room <= 0, `a caller was refused while ${room} more could have waited`);
      },
    );
  }

  tryAcquire(): void {
    const lease = this.pool.tryAcquire();
    if (lease === undefined) return;
    assert.equal(this.waiting.length, 0, 'somebody overtook those who wait');
    this.#checkNoDoubt(lease);
    this.held.push(lease);
  }

  giveBack(index: number, how: 'release' | 'discard'): void {
    const lease = this.held[index % Math.max(this.held.length, 1)];
    if (lease === undefined) return;
    this.#forget(lease);
    lease[how]();
  }

  setLimits(min: number, max: number): void {
    this.max = max;
    this.#settings = { ...this.#settings, min: this.#settings.mode === 'short' ? 0 : Math.min(min, max), max };
    const { total, connecting } = this.pool.stats();
    this.#peak = total + connecting;
    this.pool.setLimits({ min: this.#settings.min, max });
  }

  /** Compares the pool with the model. */
  check(): void {
    const stats = this.pool.stats();
    const { total, idle, active, connecting, waiting, inFlight, created, closed } = stats;
    const dialling = [...this.factory.pending].length;
    // Resizing below what is open takes effect as connections come free: until then there must be no growth.
    const occupied = total + connecting;
    assert.ok(occupied <= Math.max(this.max, this.#peak), `${occupied} open or opening, max ${this.max}`);
    this.#peak = occupied > this.max ? occupied : 0;
    assert.equal(total, idle + active, 'total is idle and active');
    assert.equal(total, this.factory.open, 'total is what is open');
    assert.equal(connecting, dialling, 'connecting is what is being dialled');
    assert.equal(waiting, this.waiting.length, 'waiting is who waits');
    assert.ok(waiting <= MAX_WAITERS + this.slots * MOST_CONNECTIONS, `${waiting} wait`);
    assert.equal(inFlight, this.held.length, 'in flight is what is lent');
    assert.equal(
      created - total,
      Object.values(closed).reduce((a, b) => a + b, 0),
      'every connection is open or counted as closed',
    );
    assert.equal(stats.reclaimed, this.#reclaimed);
    assert.ok(Object.isFrozen(stats));
    for (const resource of this.factory.openResources) {
      if (!this.#bornAt.has(resource)) this.#bornAt.set(resource, this.clock.now());
    }
    this.#checkHands();
    if (this.pool.state === 'open') this.#checkNobodyWaitsInVain();
  }

  /** Ends everything; afterwards nothing may be left. */
  async finish(): Promise<void> {
    this.pool.destroy();
    await settled();
    assert.equal(this.waiting.length, 0, 'a promise never settled');
    this.held.splice(0).forEach((lease) => lease.release());
    await settled();
    const { total, connecting, inFlight } = this.pool.stats();
    assert.deepEqual(
      { total, connecting, inFlight, open: this.factory.open },
      { total: 0, connecting: 0, inFlight: 0, open: 0 },
    );
    assert.equal(this.clock.pending, 0, 'a timer is left');
    await this.pool.close();
  }

  /** Slots that are lent as soon as there is a sign of life, as far as nobody waits for a whole connection. */
  #slotsInQuestion(): number {
    if (this.pool.state !== 'open') return 0;
    const inUse = new Set(this.held.map(({ resource }) => resource));
    const asked = new Set(this.unanswered.map(({ resource }) => resource).filter((resource) => !inUse.has(resource)));
    return this.slots * (this.pool.stats().idle + asked.size);
  }

  /** A connection beside one that was lost is lent once there has been a sign of life. */
  #checkNoDoubt({ resource }: Lease<FakeResource>): void {
    const since = this.#doubtful.get(resource);
    assert.ok(
      since === undefined || resource.lastAliveAt > since,
      `resource ${resource.id} was lent without a sign of life since another was lost`,
    );
    this.#doubtful.delete(resource);
  }

  /** A slot for each lease, and a whole one for itself. */
  #checkHands(): void {
    const byResource = new Map<FakeResource, Lease<FakeResource>[]>();
    for (const lease of this.held) byResource.set(lease.resource, [...(byResource.get(lease.resource) ?? []), lease]);
    for (const [resource, leases] of byResource) {
      assert.ok(
        leases.length <= this.slots,
        `resource ${resource.id} carries ${leases.length} leases of ${this.slots}`,
      );
      const wholes = leases.filter((lease) => this.callers.some(({ outcome, whole }) => outcome === lease && whole));
      if (wholes.length > 0)
        assert.equal(leases.length, 1, `resource ${resource.id} is lent whole and to somebody else`);
    }
  }

  /** A caller is served before those who came later and want the same. */
  #checkTurn(caller: Caller): void {
    const earlier = this.waiting.filter(({ order, whole }) => order < caller.order && whole === caller.whole);
    assert.equal(earlier.length, 0, `caller ${caller.order} was served before ${earlier[0]?.order}`);
  }

  #checkNobodyWaitsInVain(): void {
    if (this.waiting.length === 0) return;
    const { total, idle, connecting } = this.pool.stats();
    const supply = this.pool.supply;
    const isStale = this.factory.validate !== undefined;
    assert.ok(idle === 0 || (isStale && supply > 0), 'somebody waits while a connection is idle');
    const isBackingOff = this.pool.lastFailure !== undefined;
    if (total + connecting < this.max && !isBackingOff)
      assert.ok(supply > 0, 'somebody waits and nothing is on its way');
    if (this.waiting.every(({ whole }) => whole) || this.slots === 1) return;
    // A slot on a connection in use: free unless it is kept for one who wants a whole connection, or to be closed.
    const wholes = this.waiting.filter(({ whole }) => whole).length;
    const used = new Map<FakeResource, number>();
    for (const lease of this.held) {
      const isWhole = this.callers.some(({ outcome, whole }) => outcome === lease && whole);
      used.set(lease.resource, isWhole ? this.slots : (used.get(lease.resource) ?? 0) + 1);
    }
    const free = [...used].filter(
      ([resource, taken]) =>
        taken < this.slots &&
        this.factory.isOpen(resource) &&
        !this.#isRetiring(resource) &&
        !this.#doubtful.has(resource),
    );
    assert.ok(free.length <= wholes, `somebody waits for a slot while ${free.length} connections have one`);
  }

  /** Resources beside one that was lost, and when. */
  readonly #doubtful = new Map<FakeResource, number>();
  /** Resources on which the peer has said goodbye. */
  readonly refusing = new Set<FakeResource>();
  /** Resources that take no new work, as far as the model was told. */
  readonly retiring = new Set<FakeResource>();

  #isRetiring(resource: FakeResource): boolean {
    return this.retiring.has(resource) || this.clock.now() - (this.#bornAt.get(resource) ?? 0) >= LIFETIME_MS;
  }

  #forget(lease: Lease<FakeResource>): void {
    const index = this.held.indexOf(lease);
    if (index >= 0) this.held.splice(index, 1);
    this.over.push(lease);
  }
}

/** Runs the promises that are ready; the pool itself never waits for the event loop. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 16; i++) await Promise.resolve();
}
