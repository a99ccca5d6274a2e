import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { CloseReason } from './stats.js';

/** Makes and unmakes what is pooled. */
export interface Factory<R> {
  /**
   * Opens one resource, within a time of its own. When the signal fires the attempt is abandoned and must
   * clean up after itself.
   *
   * @param lost to be called when the resource, once handed over, dies by itself
   */
  create(signal: AbortSignal, lost: (reason: PooledTcpError) => void): Promise<R>;
  /** Closes a resource. Must not throw. */
  destroy(resource: R, reason: CloseReason): void;
  /** Resolves when the resource works. Without it nothing is validated. */
  validate?(resource: R): Promise<void>;
  /**
   * The resource gets no new work and is closed once free, or replaced: whoever uses it without an end should let go.
   * Must not call back into the pool.
   */
  retiring?(resource: R): void;
  /** When the resource last showed a sign of life, on the pool's clock. */
  lastAliveAt?(resource: R): number;
}
