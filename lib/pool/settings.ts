import { conflict, duration, integer, oneOf, type OptionRules, type OptionsOf } from '../common/options.js';

/**
 * - `shared`: a request gets a slot on a multiplexed connection
 * - `exclusive`: a request borrows a whole connection and gives it back
 * - `short`: a request gets a fresh connection, which is closed after the reply
 */
export type PoolMode = 'shared' | 'exclusive' | 'short';

/** `required`: boot fails when no peer can be reached. `background`: boot goes on. `false`: dial at the first call. */
export type Prewarm = 'required' | 'background' | false;

/** The pool of one endpoint. All sizes count connections, all durations are milliseconds. */
export interface PoolSettings {
  /** Connections kept open. Default 2 (0 in mode `short`). */
  min: number;
  /** Most connections open or being opened; in mode `short`, calls at a time. Default 10. */
  max: number;
  /** How a request uses a connection. Default `shared`. */
  mode: PoolMode;
  /** Calls in flight on one connection in mode `shared`. Default 8 192. */
  maxInFlight: number;
  /**
   * Callers that may wait for a slot to come free or a connection to be opened; the next is refused at once. Those who
   * wait only until an open connection has given a sign of life do not count. Default 1 024.
   */
  maxWaiters: number;
  /** Time to get a connection: waiting, dialling and validation together. Default 3 000. */
  acquireTimeoutMs: number;
  /** Time to open a connection: TCP, TLS and the hello together. Default 3 000. */
  connectTimeoutMs: number;
  /** Surplus connections idle for this long are closed, down to `min`; 0 keeps them. Default 60 000. */
  idleTimeoutMs: number;
  /** Age at which a connection is replaced, less up to a quarter at random; 0 for never. Default 1 800 000. */
  maxLifetimeMs: number;
  /** A connection silent for longer is asked for a sign of life before it is lent. Default 500. */
  validateAfterIdleMs: number;
  /** A lease held for longer is reported with the stack that borrowed it; 0 for never. Default 30 000. */
  leakWarnMs: number;
  /** A lease held for longer is taken back; 0 for never. Default 300 000. */
  leakReclaimMs: number;
  /** Whether boot waits for `min` connections. Default `required`. */
  prewarm: Prewarm;
  /** How long boot waits for them. Default 5 000. */
  prewarmTimeoutMs: number;
}

export type PoolOptions = OptionsOf<PoolSettings>;

export const poolRules: OptionRules<PoolSettings> = {
  min: integer({
    default: 2,
    max: 10_000,
    text: 'Connections kept open to each endpoint; never more than `max` unless written. Mode `short` keeps none.',
  }),
  max: integer({
    default: 10,
    min: 1,
    max: 10_000,
    text: 'Most connections open, or being opened, to each endpoint; in mode `short` that bounds calls, and connects, at a time.',
  }),
  mode: oneOf<PoolMode>({
    default: 'shared',
    of: ['shared', 'exclusive', 'short'],
    text: '`shared` multiplexes calls, `exclusive` lends a whole connection for each call, `short` opens one for each call.',
  }),
  maxInFlight: integer({
    default: 8192,
    min: 1,
    max: 1_000_000,
    text: 'Calls in flight on one connection in mode `shared`: a bound on memory, not a target. The pool grows long before.',
  }),
  maxWaiters: integer({
    default: 1024,
    text: 'Callers that may wait for a slot or a dial; the next is refused at once. Those who await only a sign of life do not count.',
  }),
  acquireTimeoutMs: duration({
    default: 3_000,
    min: 1,
    text: 'Time to get a connection: waiting, dialling and validation together. Never past the call’s own deadline.',
  }),
  connectTimeoutMs: duration({
    default: 3_000,
    min: 1,
    text: 'Time to open a connection: TCP, TLS and the hello together.',
  }),
  idleTimeoutMs: duration({
    default: 60_000,
    text: 'Surplus connections idle for this long are closed, down to `min`; 0 keeps them. Below the server’s own, so that the client lets go first.',
  }),
  maxLifetimeMs: duration({
    default: 30 * 60_000,
    text: 'Age at which a connection is replaced, less up to a quarter at random; 0 for never. Spreads load over new servers without a herd.',
  }),
  validateAfterIdleMs: duration({
    default: 500,
    text: 'A connection silent for longer is asked for a sign of life before it is lent.',
  }),
  leakWarnMs: duration({
    default: 30_000,
    text: 'A lease held for longer is reported, with the stack that borrowed it; 0 for never.',
  }),
  leakReclaimMs: duration({
    default: 300_000,
    text: 'A lease held for longer is taken back and its connection destroyed; 0 for never.',
  }),
  prewarm: oneOf<Prewarm>({
    default: 'required',
    of: ['required', 'background', false],
    text: '`required`: boot fails when no peer can be reached. `background`: boot goes on meanwhile. `false`: the first call dials.',
  }),
  prewarmTimeoutMs: duration({ default: 5_000, min: 1, text: 'How long a required prewarm may take.' }),
};

/** Defaults that depend on other options: what was not written must not contradict what was. */
export function completePool(settings: PoolSettings, given: PoolOptions): PoolSettings {
  const { mode, max, leakReclaimMs } = settings;
  const min = mode === 'short' ? 0 : Math.min(settings.min, max);
  const leakWarnMs = leakReclaimMs === 0 ? settings.leakWarnMs : Math.min(settings.leakWarnMs, leakReclaimMs >> 1);
  return { ...settings, min: given.min ?? min, leakWarnMs: given.leakWarnMs ?? leakWarnMs };
}

/** Refuses settings that contradict each other. */
export function verifyPool({ min, max, mode, leakWarnMs, leakReclaimMs }: PoolSettings, path: string): void {
  if (mode === 'short' && min > 0)
    conflict(`${path}.min (${min}) keeps connections that ${path}.mode 'short' never uses; leave it out`);
  if (min > max) conflict(`${path}.min (${min}) is greater than ${path}.max (${max}); raise max or lower min`);
  if (leakReclaimMs > 0 && leakWarnMs >= leakReclaimMs) {
    conflict(
      `${path}.leakWarnMs (${leakWarnMs}) is not below ${path}.leakReclaimMs (${leakReclaimMs}); warn before reclaiming`,
    );
  }
}
