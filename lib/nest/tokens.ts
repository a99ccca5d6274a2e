/** Name of a pool whose options give none. */
export const DEFAULT_POOL_NAME = 'default';

/**
 * Injection token of a pool, for `providers`, `moduleRef.get()` and `overrideProvider()`.
 *
 * @param name of the pool; `default` when left out
 */
export function getPoolToken(name: string = DEFAULT_POOL_NAME): string {
  return `PooledTcpPool:${name}`;
}
