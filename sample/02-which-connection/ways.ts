import type { PoolOptions } from '../../lib/index.js';

/** How connections can be held. The caller's code is the same for each of them. */
export const WAYS = {
  /** One long connection that carries every call: what Nest's own client does. */
  long: { mode: 'shared', min: 1, max: 1 },
  /** A connection for each call: connect, send, read, close. */
  short: { mode: 'short', max: 16 },
  /** A pool whose connections carry one call at a time, as those of a database driver do. */
  exclusive: { mode: 'exclusive', min: 2, max: 16 },
  /** A pool whose connections carry many calls at a time. */
  shared: { mode: 'shared', min: 2, max: 16 },
} as const satisfies Record<string, PoolOptions>;

export type Way = keyof typeof WAYS;

export const WAY_NAMES = Object.keys(WAYS) as Way[];
