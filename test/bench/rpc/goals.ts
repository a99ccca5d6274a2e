import { table } from '../report.js';
import { SLOW_CONNECT_MS, type ColdSummary } from './cold.js';
import { entryOf } from './contenders/all.js';
import type { Findings } from './findings.js';
import { ratioOf, same, type Ratio, type Round, type Summary } from './measure.js';
import type { MixedResult } from './mixed.js';

/** One aim of the project, as a ratio within one run. */
interface Goal {
  readonly words: string;
  readonly bound: number;
  /** Whether more is better. */
  readonly atLeast: boolean;
  readonly ratio: Ratio;
}

type Pick = (round: Round) => number;

const rate: Pick = ({ callsPerSecond }) => callsPerSecond;
const p50: Pick = ({ load }) => load.latency.p50;
const p99: Pick = ({ load }) => load.latency.p99;
const cpu: Pick = ({ clientMicros, serverMicros }) => clientMicros + serverMicros;

type Find = (payload: string, inFlight: number, contender: string) => Summary | undefined;

/** What was aimed at beside what this run reached. */
export function goalsTable(findings: Findings): string {
  const rows = goals(findings)
    .filter(({ ratio }) => !Number.isNaN(ratio.median))
    .map(({ words, bound, atLeast, ratio: { median, least, most } }) => [
      words,
      `${atLeast ? '≥' : '≤'} ${bound}×`,
      median === 0
        ? 'does not complete'
        : Number.isFinite(median)
          ? `${median.toFixed(2)}×`
          : 'the other never completes',
      least === most ? '' : `${least.toFixed(2)}–${most.toFixed(2)}`,
      // Who does not complete reaches no goal, and beside such a one every goal is reached.
      median !== 0 && (median === Infinity || (atLeast ? median >= bound : median <= bound)) ? 'yes' : 'no',
    ]);
  return rows.length === 0 ? '' : table(['ratio', 'goal', 'this run', 'its rounds', 'reached'], rows);
}

function goals(findings: Findings): readonly Goal[] {
  const find: Find = (payload, inFlight, contender) =>
    findings.echo
      ?.find((point) => point.payload.name === payload && point.inFlight === inFlight)
      ?.results.get(contender);
  const ratio = (payload: string, n: number, one: string, other: string, pick: Pick = rate): Ratio =>
    ratioOf(find(payload, n, one), find(payload, n, other), pick);
  const atLeast = (words: string, bound: number, ratio: Ratio): Goal => ({ words, bound, ratio, atLeast: true });
  const atMost = (words: string, bound: number, ratio: Ratio): Goal => ({ words, bound, ratio, atLeast: false });

  const small = [64, 256, 1024].flatMap((n) => {
    const where = `150 B, ${n} in flight`;
    return [
      atLeast(`${where}: request() to stock, calls/s`, 3.5, ratio('150B', n, 'ours-request', 'stock')),
      atLeast(`${where}: send() to stock, calls/s`, 3, ratio('150B', n, 'ours-send', 'stock')),
      atLeast(`${where}: request() to bare net, calls/s`, 0.75, ratio('150B', n, 'ours-request', 'bare')),
      atLeast(`${where}: MessagePack to stock, calls/s`, 4.5, ratio('150B', n, 'ours-msgpack', 'stock')),
      atMost(`${where}: request() to stock, CPU a call`, 0.33, ratio('150B', n, 'ours-request', 'stock', cpu)),
    ];
  });
  return [
    ...small,
    atLeast('150 B, 256 in flight: request() to gRPC', 20, ratio('150B', 256, 'ours-request', 'grpc')),
    atLeast('150 B, 256 in flight: request() to HTTP', 4, ratio('150B', 256, 'ours-request', 'http')),
    ...['nats', 'redis'].map((name) =>
      atLeast(`150 B, 256 in flight: request() to ${entryOf(name).title}`, 4, ratio('150B', 256, 'ours-request', name)),
    ),
    atMost('150 B, one at a time: p50 to stock', 0.7, ratio('150B', 1, 'ours-request', 'stock', p50)),
    atMost('150 B, one at a time: p50 to bare net', 1.25, ratio('150B', 1, 'ours-request', 'bare', p50)),
    atLeast('1 KiB, 64 in flight: request() to stock', 1.7, ratio('1KiB', 64, 'ours-request', 'stock')),
    atLeast('1 KiB, 64 in flight: MessagePack to stock', 2.5, ratio('1KiB', 64, 'ours-msgpack', 'stock')),
    atLeast('64 KiB Buffer, 64 in flight: request() to stock', 20, ratio('64KiB-buffer', 64, 'ours-request', 'stock')),
    atLeast(
      '64 KiB Buffer, 64 in flight: request() to bare bytes',
      0.7,
      ratio('64KiB-buffer', 64, 'ours-request', 'bare'),
    ),
    ...mixedGoals(findings, atMost),
    ...coldGoals(findings, atMost),
  ];
}

function mixedGoals({ mixed }: Findings, atMost: (words: string, bound: number, ratio: Ratio) => Goal): Goal[] {
  const goal = (where: string, results: readonly MixedResult[] | undefined, form: 'text' | 'buffer'): Goal => {
    const ours = results?.find(({ contender }) => contender === 'ours-request');
    return atMost(
      `1 % of 4 MiB ${form === 'text' ? 'text' : 'Buffers'}, ${where}: p99 of small calls to that without`,
      2,
      ratioOf(ours?.[form], ours?.alone, p99),
    );
  };
  const link = mixed !== undefined && 'results' in mixed.link ? mixed.link.results : undefined;
  return [
    goal('closed loop', mixed?.closed, 'text'),
    goal('closed loop', mixed?.closed, 'buffer'),
    goal('open loop', mixed?.paced, 'text'),
    goal('open loop', mixed?.paced, 'buffer'),
    goal('throttled link', link, 'text'),
  ];
}

function coldGoals({ cold }: Findings, atMost: (words: string, bound: number, ratio: Ratio) => Goal): Goal[] {
  const paths = { tls: 'TLS', 'slow-connect': `a connect of ${SLOW_CONNECT_MS} ms` };
  return (['tls', 'slow-connect'] as const).flatMap((path) =>
    (['at once', 'one by one'] as const).flatMap((order) => {
      const of = (prewarm: 'required' | false): ColdSummary | undefined =>
        cold?.find((summary) => summary.path === path && summary.order === order && summary.prewarm === prewarm);
      const warm = of('required');
      // One by one, only the first call meets the missing connection: of a hundred, that is the slowest, and no percentile.
      const high = order === 'at once' ? 'p99' : 'max';
      const words = `first 100 calls ${order}, ${paths[path]}: ${high === 'max' ? 'slowest' : high}`;
      return [
        atMost(`${words} prewarmed to lazy`, 0.1, same((warm?.first[high] ?? NaN) / (of(false)?.first[high] ?? NaN))),
        atMost(
          `${words.replace('slowest', 'p99')} prewarmed to steady`,
          2,
          same((warm?.first.p99 ?? NaN) / (warm?.steady.p99 ?? NaN)),
        ),
      ];
    }),
  );
}
