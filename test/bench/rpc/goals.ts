import { table } from '../report.js';
import type { Findings } from './findings.js';
import type { Summary } from './measure.js';

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
    atMost('150 B, one at a time: p50 to stock', 0.7, p50('150B', 1, 'ours-request') / p50('150B', 1, 'stock')),
    atMost('150 B, one at a time: p50 to bare net', 1.25, p50('150B', 1, 'ours-request') / p50('150B', 1, 'bare')),
    atLeast(
      '1 KiB, 64 in flight: request() to stock',
      1.7,
      rate('1KiB', 64, 'ours-request') / rate('1KiB', 64, 'stock'),
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
  const ours = mixed?.find(({ contender }) => contender === 'ours-request');
  const alone = ours?.alone?.latency.p99 ?? NaN;
  return [
    atMost('1 % of 4 MiB text: p99 of small calls to that without', 2, (ours?.text?.latency.p99 ?? NaN) / alone),
    atMost('1 % of 4 MiB Buffers: p99 of small calls to that without', 2, (ours?.buffer?.latency.p99 ?? NaN) / alone),
  ];
}

function coldGoals({ cold }: Findings, atMost: (words: string, bound: number, value: number) => Goal): Goal[] {
  const of = (prewarm: 'required' | false) => cold?.find((summary) => summary.atOnce && summary.prewarm === prewarm);
  const p99 = of('required')?.first.p99 ?? NaN;
  return [
    atMost('first 100 calls over TLS: p99 prewarmed to lazy', 0.1, p99 / (of(false)?.first.p99 ?? NaN)),
    atMost('first 100 calls over TLS: p99 prewarmed to steady', 2, p99 / (of('required')?.steady.p99 ?? NaN)),
  ];
}
