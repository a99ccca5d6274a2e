import { bytes, conflict, oneOf, refuse, type OptionRules, type OptionsOf } from '../../common/options.js';

const POLICIES = ['dropOldest', 'latestOnly', 'disconnect'] as const;

/**
 * What becomes of pushes to a client that does not read as fast as they come:
 * - `dropOldest`: those that have waited longest go
 * - `latestOnly`: of those with the same pattern, or the same `key`, only the last waits
 * - `disconnect`: none goes; the connection is closed, so that the client knows that it has missed something
 */
export type SlowReaderPolicy = (typeof POLICIES)[number];

export interface PushSettings {
  /** Bytes of pushes that may wait for one client which does not read; a single larger push may wait alone. Default 4 MiB. */
  maxPendingBytes: number;
  /** What becomes of pushes that cannot wait any more. Default `disconnect`. */
  slowReader: SlowReaderPolicy;
}

/** Options of pushes of a server, as a user writes them. */
export type PushLimits = OptionsOf<PushSettings>;

export const pushRules: OptionRules<PushSettings> = {
  maxPendingBytes: bytes({
    default: 4 * 1024 * 1024,
    min: 1024,
    text: 'Bytes of pushes that may wait for one client which does not read, beside what the kernel has taken. A single push that is larger may wait alone.',
  }),
  slowReader: oneOf<SlowReaderPolicy>({
    default: 'disconnect',
    of: POLICIES,
    text: 'What becomes of pushes to a client that does not read as fast as they come, unless the push says otherwise. `dropOldest`: those that have waited longest go. `latestOnly`: of those with the same pattern, or the same `key`, only the last waits. `disconnect`: the connection is closed with `PTCP_WRITE_OVERFLOW`, so that a client never misses something without knowing.',
  }),
};

/** Options of one push. */
export interface PushOptions {
  /** What becomes of it while the client does not read. Default: the server's `push.slowReader`. */
  readonly slowReader?: SlowReaderPolicy | undefined;
  /** With `latestOnly`: what it replaces while it waits, instead of everything with the same pattern. */
  readonly key?: string | undefined;
}

/** @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_CONFLICT` */
export function policyOf({ slowReader, key }: PushOptions, settings: PushSettings): SlowReaderPolicy {
  const policy = slowReader ?? settings.slowReader;
  if (slowReader !== undefined && !POLICIES.includes(slowReader))
    refuse('slowReader', slowReader, `one of ${POLICIES.join(', ')}`);
  if (key === undefined) return policy;
  if (typeof key !== 'string') refuse('key', key, 'a string');
  if (policy !== 'latestOnly')
    conflict(`key names what a push with slowReader: 'latestOnly' replaces, and this one has '${policy}'`);
  return policy;
}
