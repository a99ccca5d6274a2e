import { LINKS, type Figures } from './measure.js';

const COLUMNS = [
  'connection',
  'calls/s',
  'p50',
  'p99',
  'connects',
  'in TIME_WAIT',
  'at the server',
  'CPU a call: caller',
  'server',
];

/** A table for each link and load, as lines. */
export function tables(all: readonly Figures[]): readonly string[] {
  return LINKS.flatMap((link) =>
    (['few', 'many'] as const).flatMap((load) => {
      const figures = all.filter((one) => one.link === link && one.load === load);
      return ['', `${link}, ${titleOf(load)}`, ...layOut([COLUMNS, ...figures.map(row)])];
    }),
  );
}

export function titleOf(load: Figures['load']): string {
  return load === 'few' ? '20 calls a second' : '64 callers at once';
}

function row({ way, caller, server }: Figures): readonly string[] {
  const { calls, seconds, p50Ms, p99Ms, connects, timeWait, cpuMs } = caller;
  return [
    way,
    count(calls / seconds),
    ms(p50Ms),
    ms(p99Ms),
    count(connects),
    count(timeWait),
    count(server.mostOpen),
    `${count((cpuMs * 1_000) / calls)} µs`,
    `${count((server.cpuMs * 1_000) / calls)} µs`,
  ];
}

/** The first column to the left, figures to the right. */
function layOut(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((cells) => cells[i]?.length ?? 0)));
  return rows.map((cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('   '),
  );
}

export function count(n: number): string {
  return Math.round(n).toLocaleString('en-US');
}

export function ms(duration: number): string {
  return `${duration < 10 ? duration.toFixed(2) : duration.toFixed(1)} ms`;
}
