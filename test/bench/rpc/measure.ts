import { median } from '../report.js';
import type { LoadResult } from './load.js';
import type { Pair } from './peer.js';
import type { Latency, LoadQuestion } from './questions.js';

/** Without an answer for so long, a call is said to complete never. */
export const STALL_MS = 4_000;
const HARD_LIMIT_MS = 30_000;

/** One round of one contender, both sides. */
export interface Round {
  readonly load: LoadResult;
  readonly callsPerSecond: number;
  /** CPU microseconds a call. */
  readonly clientMicros: number;
  readonly serverMicros: number;
  /** Of the broker; 0 where there is none. */
  readonly brokerMicros: number;
  readonly serverRssBytes: number;
}

/** What the rounds of one contender come to, as medians. */
export interface Summary {
  readonly outcome: LoadResult['outcome'];
  readonly failure?: string | undefined;
  readonly callsPerSecond: number;
  readonly slowest: number;
  readonly fastest: number;
  readonly latency: Latency;
  readonly clientMicros: number;
  readonly serverMicros: number;
  readonly brokerMicros: number;
  readonly rssBytes: number;
  readonly connections: number;
  /** What it is made of, in the order of the rounds. */
  readonly rounds: readonly Round[];
}

export async function measure(pair: Pair, plan: Omit<LoadQuestion, 'stallMs'>): Promise<Round> {
  const before = await pair.server.ask('sample', {});
  const brokerBefore = pair.brokerMicros();
  const load = await pair.client.ask('load', { ...plan, stallMs: STALL_MS }, plan.durationMs + HARD_LIMIT_MS);
  const after = await pair.server.ask('sample', {});
  const calls = load.calls + load.rareCalls;
  return {
    load,
    callsPerSecond: calls / load.seconds,
    clientMicros: load.cpuMicros / calls,
    serverMicros: (after.cpuMicros - before.cpuMicros) / calls,
    brokerMicros: (pair.brokerMicros() - brokerBefore) / calls,
    serverRssBytes: after.rssBytes,
  };
}

export function summarise(rounds: readonly Round[]): Summary {
  const bad = rounds.find(({ load }) => load.outcome !== 'done');
  const of = (pick: (round: Round) => number): number => median(rounds.map(pick));
  const rates = rounds.map(({ callsPerSecond }) => callsPerSecond);
  return {
    outcome: bad?.load.outcome ?? 'done',
    failure: bad?.load.failure,
    callsPerSecond: median(rates),
    slowest: Math.min(...rates),
    fastest: Math.max(...rates),
    latency: {
      p50: of(({ load }) => load.latency.p50),
      p99: of(({ load }) => load.latency.p99),
      p999: of(({ load }) => load.latency.p999),
      max: of(({ load }) => load.latency.max),
    },
    clientMicros: of(({ clientMicros }) => clientMicros),
    serverMicros: of(({ serverMicros }) => serverMicros),
    brokerMicros: of(({ brokerMicros }) => brokerMicros),
    rssBytes: of(({ load, serverRssBytes }) => load.rssBytes + serverRssBytes),
    connections: of(({ load }) => load.connections),
    rounds,
  };
}

/** How many times as much one contender has of something as another. */
export interface Ratio {
  /** Infinite where the other never completes, NaN where one of them was not measured. */
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/**
 * The ratios within each round, and their median: a shared machine is half as fast again for some seconds, for all who run
 * then, so that two medians may be of different times.
 */
export function ratioOf(one: Summary | undefined, other: Summary | undefined, pick: (round: Round) => number): Ratio {
  if (one === undefined || other === undefined) return same(NaN);
  // Who does not complete has none of anything, and whoever does has more than any such one.
  if (one.outcome !== 'done') return same(0);
  if (other.outcome === 'stalled') return same(Infinity);
  if (other.rounds.length !== one.rounds.length) return same(NaN);
  const ratios = one.rounds.map((round, i) => {
    const beside = other.rounds[i];
    return beside === undefined ? NaN : pick(round) / pick(beside);
  });
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

/** A ratio of single figures. */
export function same(value: number): Ratio {
  return { median: value, least: value, most: value };
}

export function failed(failure: string): Summary {
  const none = { p50: NaN, p99: NaN, p999: NaN, max: NaN };
  return {
    outcome: 'failed',
    failure,
    callsPerSecond: NaN,
    slowest: NaN,
    fastest: NaN,
    latency: none,
    clientMicros: NaN,
    serverMicros: NaN,
    brokerMicros: NaN,
    rssBytes: NaN,
    connections: NaN,
    rounds: [],
  };
}
