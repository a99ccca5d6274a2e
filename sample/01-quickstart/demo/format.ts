import type { ClientStats } from '../../../lib/index.js';

/** Columns as wide as their widest cell; numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): readonly string[] {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? count(cell) : cell)));
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const isNumber = widths.map((_, i) => typeof rows.at(-1)?.[i] === 'number');
  return cells.map((row) =>
    row
      .map((cell, i) => (isNumber[i] === true ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
}

/** One line for each moment. */
export function poolTable(moments: Readonly<Record<string, ClientStats>>): readonly string[] {
  const name = Object.values(moments)[0]?.name ?? '';
  return table([
    [`pool '${name}'`, 'total', 'idle', 'active', 'connecting', 'waiting', 'in flight', 'requests'],
    ...Object.entries(moments).map(([moment, stats]) => [
      moment,
      stats.total,
      stats.idle,
      stats.active,
      stats.connecting,
      stats.waiting,
      stats.inFlight,
      stats.requests,
    ]),
  ]);
}

export function count(n: number): string {
  return Math.round(n).toLocaleString('en-US');
}

export function ms(duration: number): string {
  return `${duration < 10 ? duration.toFixed(1) : count(duration)} ms`;
}
