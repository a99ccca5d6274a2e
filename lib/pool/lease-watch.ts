import { LinkedList } from '../common/linked-list.js';
import type { WholeLease } from './lease.js';
import type { PoolSettings } from './settings.js';

/** Leases on whole resources, watched for being held too long. */
export class LeaseWatch<R> {
  /** The oldest first. */
  readonly #leases = new LinkedList<WholeLease<R>>();
  readonly #settings: Pick<PoolSettings, 'leakWarnMs' | 'leakReclaimMs'>;
  readonly #onLeak: (lease: WholeLease<R>, heldMs: number, mustReclaim: boolean) => void;

  /** @param onLeak told once that a lease is held too long, and once that it must be taken back */
  constructor(
    settings: Pick<PoolSettings, 'leakWarnMs' | 'leakReclaimMs'>,
    onLeak: (lease: WholeLease<R>, heldMs: number, mustReclaim: boolean) => void,
  ) {
    this.#settings = settings;
    this.#onLeak = onLeak;
  }

  add(lease: WholeLease<R>): void {
    this.#leases.addLast(lease);
  }

  remove(lease: WholeLease<R>): void {
    this.#leases.remove(lease);
  }

  /** The process was frozen for so long: that time does not count. */
  forgive(frozenMs: number): void {
    for (const lease of this.#leases) lease.since += frozenMs;
  }

  /** When a lease given out at this time is first looked at. */
  firstDate(since: number): number {
    const { leakWarnMs, leakReclaimMs } = this.#settings;
    if (leakWarnMs > 0) return since + leakWarnMs;
    return leakReclaimMs > 0 ? since + leakReclaimMs : Infinity;
  }

  /** Reports what is due; returns the next date. */
  sweep(now: number): number {
    const { leakWarnMs, leakReclaimMs } = this.#settings;
    let next = Infinity;
    // A copy: whoever is told may give back others.
    for (const lease of [...this.#leases]) {
      if (lease.state !== 'held') continue;
      const reclaimAt = leakReclaimMs > 0 ? lease.since + leakReclaimMs : Infinity;
      const warnAt = leakWarnMs > 0 && !lease.isReported ? lease.since + leakWarnMs : Infinity;
      if (now >= reclaimAt) {
        this.#leases.remove(lease);
        this.#onLeak(lease, now - lease.since, true);
        continue;
      }
      if (now >= warnAt) {
        lease.isReported = true;
        this.#onLeak(lease, now - lease.since, false);
      }
      next = Math.min(next, lease.isReported ? reclaimAt : Math.min(warnAt, reclaimAt));
    }
    return next;
  }
}
