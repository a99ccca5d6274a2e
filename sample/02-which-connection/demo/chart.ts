import { WAY_NAMES, type Way } from '../ways.js';
import { LINKS, type Figures, type Link } from './measure.js';
import { count, titleOf } from './table.js';

/** One row of panels: something that was measured, for each link. */
interface Row {
  readonly load: Figures['load'];
  readonly title: string;
  readonly unit: string;
  /** Parts of a bar, end to end; only the first is in full colour. */
  readonly parts: (figures: Figures) => readonly number[];
  /** Where a mark is set beyond the bar. */
  readonly mark?: (figures: Figures) => number;
  readonly label: (figures: Figures) => string;
}

const latency = (load: Figures['load']): Row => ({
  load,
  title: 'latency of a call: median, and a mark at p99',
  unit: 'ms',
  parts: ({ caller }) => [caller.p50Ms],
  mark: ({ caller }) => caller.p99Ms,
  label: ({ caller }) => `${short(caller.p50Ms)} / ${short(caller.p99Ms)}`,
});

const perCall = (cpuMs: number, { caller }: Figures): number => (cpuMs * 1_000) / Math.max(caller.calls, 1);

const ROWS: readonly Row[] = [
  latency('few'),
  latency('many'),
  {
    load: 'many',
    title: 'calls a second',
    unit: 'calls/s',
    parts: ({ caller }) => [caller.calls / caller.seconds],
    label: ({ caller }) => count(caller.calls / caller.seconds),
  },
  {
    load: 'many',
    title: 'CPU time of a call: the caller’s, and the server’s in a lighter shade',
    unit: 'µs',
    parts: (figures) => [perCall(figures.caller.cpuMs, figures), perCall(figures.server.cpuMs, figures)],
    label: (figures) =>
      [figures.caller.cpuMs, figures.server.cpuMs].map((ms) => count(perCall(ms, figures))).join(' + '),
  },
  {
    load: 'many',
    title: 'local ports held in TIME_WAIT at the end',
    unit: 'ports',
    parts: ({ caller }) => [caller.timeWait],
    label: ({ caller }) => count(caller.timeWait),
  },
];

/** Told apart by people who see colours differently, on a light and on a dark page. */
const COLORS: Readonly<Record<Way, string>> = {
  long: '#0072b2',
  short: '#d55e00',
  exclusive: '#009e73',
  shared: '#cc79a7',
};

const LEFT = 84;
const PANEL = { width: 250, gap: 22 };
/** Of a panel's width, so that the longest bar leaves room for its label. */
const BAR_WIDTH = 160;
const BAR = { height: 13, step: 18 };
const TOP = 74;
const ROW_HEIGHT = 34 + WAY_NAMES.length * BAR.step + 34;
const WIDTH = LEFT + LINKS.length * (PANEL.width + PANEL.gap);
const HEIGHT = TOP + ROWS.length * ROW_HEIGHT + 4;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .head { font-weight: 600 }
  .faint { font-size: 11px; fill: #59636e }
  .page { fill: #ffffff }
  .axis { stroke: #818b98; stroke-width: 1 }
  .mark { stroke: #1f2328; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .page { fill: #0d1117 }
    .axis { stroke: #656c76 }
    .mark { stroke: #f0f6fc }
  }`;

/** The figures as bars: a row for each thing measured, a column for each link. Each panel has a scale of its own. */
export function chart(all: readonly Figures[], words: string): string {
  const parts = [
    text(16, 26, 'Long, short or pooled: the same job over each', 'title'),
    text(16, 44, words, 'faint'),
    ...LINKS.map((link, i) => text(panelX(i), 66, link, 'head')),
    ...ROWS.flatMap((row, i) => panels(row, all, TOP + i * ROW_HEIGHT)),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    `<title>Long, short or pooled connections: the same job over each</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${WIDTH}" height="${HEIGHT}" rx="6"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function panels(row: Row, all: readonly Figures[], y: number): string[] {
  const bottom = y + 28 + WAY_NAMES.length * BAR.step;
  return [
    text(16, y + 20, `${titleOf(row.load)}: ${row.title}`, 'faint'),
    ...WAY_NAMES.map((way, i) => text(LEFT - 8, barY(y, i) + 11, way, '', 'end')),
    ...LINKS.flatMap((link, i) => panel(row, all, link, panelX(i), y, bottom)),
  ];
}

function panel(row: Row, all: readonly Figures[], link: Link, x: number, y: number, bottom: number): string[] {
  const figures = all.filter((one) => one.link === link && one.load === row.load);
  const ends = figures.map((one) => Math.max(sum(row.parts(one)), row.mark?.(one) ?? 0));
  const top = niceAbove(Math.max(...ends));
  const scale = (value: number): number => (BAR_WIDTH * value) / top;
  const bars = figures.flatMap((one) => {
    const at = barY(y, WAY_NAMES.indexOf(one.way));
    let from = x;
    const pieces = row.parts(one).map((value, i) => {
      const piece = `<rect x="${round(from)}" y="${at}" width="${round(scale(value))}" height="${BAR.height}" fill="${COLORS[one.way]}" fill-opacity="${i === 0 ? 1 : 0.5}"/>`;
      from += scale(value);
      return piece;
    });
    const mark = row.mark === undefined ? undefined : x + scale(row.mark(one));
    if (mark !== undefined) pieces.push(line(mark, at, mark, at + BAR.height, 'mark'));
    return [...pieces, text(Math.max(from, mark ?? 0) + 6, at + 11, row.label(one))];
  });
  const ticks = [0, top / 2, top].flatMap((value) => [
    line(x + scale(value), bottom, x + scale(value), bottom + 4, 'axis'),
    text(x + scale(value), bottom + 16, `${short(value)}${value === top ? ` ${row.unit}` : ''}`, 'faint', 'middle'),
  ]);
  return [...bars, line(x, bottom, x + BAR_WIDTH, bottom, 'axis'), ...ticks];
}

function panelX(i: number): number {
  return LEFT + i * (PANEL.width + PANEL.gap);
}

function barY(y: number, i: number): number {
  return y + 28 + i * BAR.step;
}

/** The next of 1, 2, 4, 5 or 10 times a power of ten: halves are round numbers, too. */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10);
}

function text(x: number, y: number, words: string, style = '', anchor = 'start'): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}"${style === '' ? '' : ` class="${style}"`} text-anchor="${anchor}">${escaped}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, style: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${style}"/>`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function round(value: number): string {
  return value.toFixed(1);
}

function short(value: number): string {
  if (value >= 10_000) return `${Number((value / 1_000).toFixed(1))} k`;
  return value >= 100 ? count(value) : String(Number(value.toPrecision(value < 10 ? 2 : 3)));
}
