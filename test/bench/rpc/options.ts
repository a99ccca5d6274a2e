import { parseArgs } from 'node:util';
import { entries } from './contenders/all.js';
import { IN_FLIGHT, payloadCases } from './payloads.js';

export const PARTS = ['echo', 'flood', 'mixed', 'cold', 'memory', 'slow-reader'] as const;
export type Part = (typeof PARTS)[number];

export interface BenchOptions {
  readonly parts: readonly Part[];
  readonly contenders: readonly string[];
  readonly cases: readonly string[];
  /** Calls in flight; each case's own list when undefined. */
  readonly inFlight: readonly number[] | undefined;
  /** Times that the processes are started anew. */
  readonly boots: number;
  /** Counted rounds of each boot. */
  readonly rounds: number;
  readonly durationMs: number;
  /** Connections of each contender that can have several; its default when undefined. */
  readonly connections: number | undefined;
  readonly idleConnections: number;
  /** Folder for CPU profiles of the measured rounds. */
  readonly profile: string | undefined;
  /** Whether docs/benchmarks.md is written. */
  readonly writes: boolean;
}

export const USAGE = `npm run bench -- rpc [options]
  --part echo,flood,…   parts to run: ${PARTS.join(', ')}
  --only ours,stock     contenders, or how their names begin: ${entries.map(({ name }) => name).join(', ')}
  --case 150B,1KiB      payloads: ${payloadCases.map(({ name }) => name).join(', ')}
  --inflight 64,256     calls in flight
  --full                every payload at ${IN_FLIGHT.join(', ')} in flight
  --boots 3             times that the processes of the part echo are started anew
  --rounds 3            counted rounds of each boot; one more before them warms up
  --duration 200        milliseconds a round
  --connections 4       connections, instead of each contender's default
  --idle 10000          idle connections of the part memory
  --profile DIR         CPU profiles of both sides into DIR, and what took most; one boot
  --write               write docs/benchmarks.md also when the run was narrowed`;

/** @throws Error with what is wrong, in words */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      part: { type: 'string' },
      only: { type: 'string' },
      case: { type: 'string' },
      inflight: { type: 'string' },
      full: { type: 'boolean', default: false },
      boots: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '3' },
      duration: { type: 'string', default: '200' },
      connections: { type: 'string' },
      idle: { type: 'string', default: '10000' },
      profile: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const { part, only, case: cases, inflight, connections, profile, full, write } = values;
  const narrowed = [part, only, cases, inflight, connections, profile];
  return {
    parts: chosen('part', part, PARTS, (name, wanted) => name === wanted),
    contenders: chosen(
      'contender',
      only,
      entries.map(({ name }) => name),
      (name, wanted) => name === wanted || name.startsWith(`${wanted}-`),
    ),
    cases: chosen(
      'case',
      cases,
      payloadCases.map(({ name }) => name),
      (name, wanted) => name === wanted,
    ),
    inFlight: inflight === undefined ? (full ? IN_FLIGHT : undefined) : inflight.split(',').map(count),
    // One profile each, and not one over the other.
    boots: profile === undefined ? count(values.boots) : 1,
    rounds: count(values.rounds),
    durationMs: count(values.duration),
    connections: connections === undefined ? undefined : count(connections),
    idleConnections: count(values.idle),
    profile,
    writes: write || narrowed.every((value) => value === undefined),
  };
}

function chosen<T extends string>(
  what: string,
  list: string | undefined,
  from: readonly T[],
  matches: (name: T, wanted: string) => boolean,
): readonly T[] {
  if (list === undefined) return from;
  const wanted = list.split(',');
  const unknown = wanted.find((word) => !from.some((name) => matches(name, word)));
  if (unknown !== undefined) throw new Error(`no ${what} is called ${unknown}; there are ${from.join(', ')}`);
  // A whole name means itself alone: `stock` is not `stock-short`, but `ours` is every name that begins so.
  const names: readonly string[] = from;
  return from.filter((name) => wanted.some((word) => (names.includes(word) ? name === word : matches(name, word))));
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${text} is not a count`);
  return value;
}
