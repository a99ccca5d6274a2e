import type { BoundedLog } from './bounded-log.js';

/** Why a connection was refused: the option that says so, or what was wrong with the peer. */
export type RefusalReason =
  | 'denied'
  | 'proxyHeader'
  | 'maxConnections'
  | 'maxConnectionsPerHost'
  | 'maxConnectionsPerPrincipal'
  | 'unauthenticated';

/** Counts and logs the connections that were refused. */
export class Refusals {
  readonly #log: BoundedLog;
  readonly #counts: Record<RefusalReason, number> = {
    denied: 0,
    proxyHeader: 0,
    maxConnections: 0,
    maxConnectionsPerHost: 0,
    maxConnectionsPerPrincipal: 0,
    unauthenticated: 0,
  };

  constructor(log: BoundedLog) {
    this.#log = log;
  }

  get total(): number {
    return Object.values(this.#counts).reduce((sum, count) => sum + count, 0);
  }

  get byReason(): Readonly<Record<RefusalReason, number>> {
    return Object.freeze({ ...this.#counts });
  }

  /** @param peer address of the client */
  add(reason: RefusalReason, peer: string, why: string): void {
    this.#counts[reason] += 1;
    this.#log.warn(`refused ${reason}`, `refused a connection of ${peer}: ${why}`);
  }
}
