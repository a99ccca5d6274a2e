import { table } from '../report.js';
import { SLOW_CONNECT_MS, type ColdSummary } from './cold.js';
import { entries, entryOf } from './contenders/all.js';
import type { Point } from './echo.js';
import { FLOOD_CALLS, type FloodResult } from './flood.js';
import { ratioOf, type Ratio, type Summary } from './measure.js';
import type { MemoryResult } from './memory.js';
import type { MixedResult } from './mixed.js';
import type { SlowReaderResult } from './slow-reader.js';
import type { Latency } from './questions.js';

const NEVER = 'never completes';
const MIB = 1024 * 1024;

/** Calls a second: contenders down, calls in flight across. */
export function ratesTable(points: readonly Point[]): string {
  const names = [...(points[0]?.results.keys() ?? [])];
  return table(
    ['calls/s', ...points.map(({ inFlight }) => `${inFlight} in flight`)],
    inOrder(names).map((name) => [
      entryOf(name).title,
      ...points.map(({ results }) => {
        const summary = results.get(name);
        return summary?.outcome === 'done' ? whole(summary.callsPerSecond) : outcomeOf(summary);
      }),
    ]),
  );
}

/** Everything that was measured at one point. */
export function pointTable({ results }: Point): string {
  const stock = results.get('stock');
  return table(
    [
      '',
      'calls/s',
      'min–max',
      'to stock',
      'p50 ms',
      'p99',
      'p99.9',
      'CPU µs client',
      'server',
      'broker',
      'connections',
      'RSS MiB',
    ],
    inOrder([...results.keys()]).map((name) => {
      const summary = results.get(name);
      const { title } = entryOf(name);
      if (summary?.outcome !== 'done') return [title, outcomeOf(summary), '', '', '', '', '', '', '', '', '', ''];
      return [
        title,
        whole(summary.callsPerSecond),
        `${whole(summary.slowest)}–${whole(summary.fastest)}`,
        times(ratioOf(summary, stock, ({ callsPerSecond }) => callsPerSecond)),
        ...percentiles(summary.latency),
        summary.clientMicros.toFixed(1),
        summary.serverMicros.toFixed(1),
        entryOf(name).broker === undefined ? '' : micros(summary.brokerMicros),
        summary.connections.toFixed(0),
        (summary.rssBytes / MIB).toFixed(0),
      ];
    }),
  );
}

export function floodTable(results: readonly FloodResult[]): string {
  return table(
    ['', 'answered', 'ms'],
    results.map(({ contender, answered, ms }) => [
      entryOf(contender).title,
      `${answered} of ${FLOOD_CALLS}`,
      answered === FLOOD_CALLS ? ms.toFixed(0) : NEVER,
    ]),
  );
}

export function mixedTable(results: readonly MixedResult[]): string {
  const forms = (['text', 'buffer'] as const).filter((form) => results.some((result) => result[form] !== undefined));
  const titles = { text: '1 % 4 MiB text', buffer: '1 % 4 MiB Buffers' };
  return table(
    [
      'small calls, ms',
      'alone: p50',
      'p99',
      'p99.9',
      ...forms.flatMap((form) => [`${titles[form]}: p50`, 'p99', 'p99.9', 'p99 to alone']),
    ],
    results.map(({ contender, alone, ...large }) => [
      entryOf(contender).title,
      ...percentilesOf(alone),
      ...forms.flatMap((form) => [...percentilesOf(large[form]), timesAlone(large[form], alone)]),
    ]),
  );
}

export function coldTable(results: readonly ColdSummary[]): string {
  return table(
    ['first 100 calls', '', 'p50 ms', 'p99', 'slowest', 'steady p50', 'steady p99'],
    results.map(({ path, prewarm, order, first, steady }) => [
      `${path === 'tls' ? 'TLS' : `a connect of ${SLOW_CONNECT_MS} ms`}, ${order}`,
      prewarm === false ? 'lazy (`prewarm: false`)' : 'prewarmed',
      ms(first.p50),
      ms(first.p99),
      ms(first.max),
      ms(steady.p50),
      ms(steady.p99),
    ]),
  );
}

export function memoryTable(results: readonly MemoryResult[]): string {
  return table(
    [
      'bytes a connection',
      'connections',
      'server, heap and buffers',
      'server, RSS',
      'client, heap and buffers',
      'client, RSS',
    ],
    results.map(({ contender, connections, server, client }) => [
      entryOf(contender).title,
      whole(connections),
      ...[server.used, server.rss, client.used, client.rss].map(whole),
    ]),
  );
}

export function slowReaderTable(results: readonly SlowReaderResult[]): string {
  return table(
    ['server’s growth, MiB', 'client', 'heap and buffers', 'RSS', 'flat after', 'connection'],
    results.map(({ contender, reader, usedBytes, rssBytes, flatAfterMs, isOpen }) => [
      entryOf(contender).title,
      reader === 'frozen' ? 'hangs' : 'pulls nothing',
      (usedBytes / MIB).toFixed(0),
      (rssBytes / MIB).toFixed(0),
      flatAfterMs === undefined ? 'still grew' : `${(flatAfterMs / 1000).toFixed(1)} s`,
      isOpen ? 'open' : 'closed by the server',
    ]),
  );
}

function inOrder(names: readonly string[]): readonly string[] {
  // A contender that had to leave was added last; the table shows all in the usual order.
  return entries.map(({ name }) => name).filter((name) => names.includes(name));
}

function percentiles({ p50, p99, p999 }: Latency): string[] {
  return [ms(p50), ms(p99), ms(p999)];
}

function percentilesOf(summary: Summary | undefined): string[] {
  return summary?.outcome === 'done' ? percentiles(summary.latency) : [outcomeOf(summary), '', ''];
}

function timesAlone(summary: Summary | undefined, alone: Summary | undefined): string {
  if (summary?.outcome !== 'done') return '';
  return times(ratioOf(summary, alone, ({ load }) => load.latency.p99));
}

function times({ median }: Ratio): string {
  return Number.isFinite(median) ? `${median.toFixed(2)}×` : '';
}

function outcomeOf(summary: Summary | undefined): string {
  if (summary === undefined) return '';
  return summary.outcome === 'stalled' ? NEVER : `failed: ${summary.failure ?? 'no reason'}`.slice(0, 60);
}

function ms(value: number): string {
  return value < 10 ? value.toFixed(2) : value.toFixed(0);
}

function micros(value: number): string {
  return Number.isNaN(value) ? 'unknown' : value.toFixed(1);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
}
