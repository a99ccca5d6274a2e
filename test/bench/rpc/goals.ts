import { table } from '../report.js';
import { SLOW_CONNECT_MS, type ColdSummary } from './cold.js';
import { entryOf } from './contenders/all.js';
import type { Findings } from './findings.js';
import type { Summary } from './measure.js';
import type { MixedResult } from './mixed.js';

/** One aim of the project, as a ratio within one run. */
interface Goal {
  readonly words: string;
  readonly bound: number;
  /** Whether more is better. */
  readonly atLeast: boolean;
  readonly value: number;
}

type Find = (payload: string, inFlight: number, contender: string) => Summary | undefined;

/** What was aimed at beside what this run reached. */
export function goalsTable(findings: Findings): string {
  const rows = goals(findings)
    .filter(({ value }) => !Number.isNaN(value))
    .map(({ words, bound, atLeast, value }) => [
      words,
      `${atLeast ? '≥' : '≤'} ${bound}×`,
      Number.isFinite(value) ? `${value.toFixed(2)}×` : 'the other never completes',
      (atLeast ? value >= bound : value <= bound) ? 'yes' : 'no',
    ]);
  return rows.length === 0 ? '' : table(['ratio', 'goal', 'this run', 'reached'], rows);
}

function goals(findings: Findings): readonly Goal[] {
  const find: Find = (payload, inFlight, contender) =>
    findings.echo
      ?.find((point) => point.payload.name === payload && point.inFlight === inFlight)
      ?.results.get(contender);
  const rate = (...where: Parameters<Find>): number => {
    const found = find(...where);
    return found?.outcome === 'stalled' ? 0 : (found?.callsPerSecond ?? NaN);
  };
  const p50 = (...where: Parameters<Find>): number => find(...where)?.latency.p50 ?? NaN;
  const cpu = (...where: Parameters<Find>): number => {
    const found = find(...where);
    return found === undefined ? NaN : found.clientMicros + found.serverMicros;
  };
  const atLeast = (words: string, bound: number, value: number): Goal => ({ words, bound, value, atLeast: true });
  const atMost = (words: string, bound: number, value: number): Goal => ({ words, bound, value, atLeast: false });

  const small = [64, 256, 1024].flatMap((n) => {
    const where = `150 B, ${n} in flight`;
    return [
      atLeast(`${where}: request() to stock, calls/s`, 3.5, rate('150B', n, 'ours-request') / rate('150B', n, 'stock')),
      atLeast(`${where}: send() to stock, calls/s`, 3, rate('150B', n, 'ours-send') / rate('150B', n, 'stock')),
      atLeast(
        `${where}: request() to bare net, calls/s`,
        0.75,
        rate('150B', n, 'ours-request') / rate('150B', n, 'bare'),
      ),
      atLeast(
        `${where}: MessagePack to stock, calls/s`,
        4.5,
        rate('150B', n, 'ours-msgpack') / rate('150B', n, 'stock'),
      ),
      atMost(
        `${where}: request() to stock, CPU a call`,
        0.33,
        cpu('150B', n, 'ours-request') / cpu('150B', n, 'stock'),
      ),
    ];
  });
  return [
    ...small,
    atLeast(
      '150 B, 256 in flight: request() to gRPC',
      20,
      rate('150B', 256, 'ours-request') / rate('150B', 256, 'grpc'),
    ),
    atLeast(
      '150 B, 256 in flight: request() to HTTP',
      4,
      rate('150B', 256, 'ours-request') / rate('150B', 256, 'http'),
    ),
    ...['nats', 'redis'].map((name) =>
      atLeast(
        `150 B, 256 in flight: request() to ${entryOf(name).title}`,
        4,
        rate('150B', 256, 'ours-request') / rate('150B', 256, name),
      ),
    ),
    atMost('150 B, one at a time: p50 to stock', 0.7, p50('150B', 1, 'ours-request') / p50('150B', 1, 'stock')),
    atMost('150 B, one at a time: p50 to bare net', 1.25, p50('150B', 1, 'ours-request') / p50('150B', 1, 'bare')),
    atLeast(
      '1 KiB, 64 in flight: request() to stock',
      1.7,
      rate('1KiB', 64, 'ours-request') / rate('1KiB', 64, 'stock'),
    ),
    atLeast(
      '1 KiB, 64 in flight: MessagePack to stock',
      2.5,
      rate('1KiB', 64, 'ours-msgpack') / rate('1KiB', 64, 'stock'),
    ),
    atLeast(
      '64 KiB Buffer, 64 in flight: request() to stock',
      20,
      rate('64KiB-buffer', 64, 'ours-request') / rate('64KiB-buffer', 64, 'stock'),
    ),
    atLeast(
      '64 KiB Buffer, 64 in flight: request() to bare bytes',
      0.7,
      rate('64KiB-buffer', 64, 'ours-request') / rate('64KiB-buffer', 64, 'bare'),
    ),
    ...mixedGoals(findings, atMost),
    ...coldGoals(findings, atMost),
  ];
}

function mixedGoals({ mixed }: Findings, atMost: (words: string, bound: number, value: number) => Goal): Goal[] {
  const goal = (where: string, results: readonly MixedResult[] | undefined, form: 'text' | 'buffer'): Goal => {
    const ours = results?.find(({ contender }) => contender === 'ours-request');
    const ratio = (ours?.[form]?.latency.p99 ?? NaN) / (ours?.alone?.latency.p99 ?? NaN);
    return atMost(
      `1 % of 4 MiB ${form === 'text' ? 'text' : 'Buffers'}, ${where}: p99 of small calls to that without`,
      2,
      ratio,
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
function coldGoals({ cold }: Findings, atMost: (words: string, bound: number, value: number) => Goal): Goal[] {
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
        atMost(`${words} prewarmed to lazy`, 0.1, (warm?.first[high] ?? NaN) / (of(false)?.first[high] ?? NaN)),
        atMost(
          `${words.replace('slowest', 'p99')} prewarmed to steady`,
          2,
          (warm?.first.p99 ?? NaN) / (warm?.steady.p99 ?? NaN),
        ),
      ];
    }),
  );
}
