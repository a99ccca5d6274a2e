/** Plots, written by hand: readable on a light and on a dark page. */

export interface Line {
  readonly title: string;
  readonly color: string;
  /** One for each tick of the x axis; NaN where there is none. */
  readonly values: readonly number[];
}

export interface Plot {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly ticks: readonly string[];
  readonly lines: readonly Line[];
}

const WIDTH = 860;
const HEIGHT = 460;
const AREA = { left: 70, right: 620, top: 50, bottom: 400 };
const GREY = '#888';

/** Lines over evenly spaced ticks, with a logarithmic y axis. */
export function linePlot({ title, xTitle, yTitle, ticks, lines }: Plot): string {
  const values = lines.flatMap((line) => line.values).filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.ceil(Math.log10(Math.max(...values)));
  const x = (i: number): number => AREA.left + ((AREA.right - AREA.left) * (i + 0.5)) / Math.max(ticks.length, 1);
  const y = (value: number): number =>
    AREA.bottom - ((AREA.bottom - AREA.top) * (Math.log10(value) - low)) / Math.max(high - low, 1);

  const parts = [
    text(AREA.left, 26, title, 'font-size="16" font-weight="bold"'),
    text((AREA.left + AREA.right) / 2, HEIGHT - 16, xTitle, 'text-anchor="middle"'),
    text(AREA.left, 43, yTitle, 'font-size="11"'),
  ];
  for (let power = low; power <= high; power++) {
    for (const step of power === high ? [1] : [1, 2, 5]) {
      const at = y(step * 10 ** power);
      parts.push(
        `<line x1="${AREA.left}" y1="${round(at)}" x2="${AREA.right}" y2="${round(at)}" stroke="${GREY}" stroke-opacity="${step === 1 ? 0.5 : 0.2}"/>`,
        text(AREA.left - 8, at + 4, short(step * 10 ** power), 'text-anchor="end" font-size="11"'),
      );
    }
  }
  ticks.forEach((tick, i) => parts.push(text(x(i), AREA.bottom + 20, tick, 'text-anchor="middle"')));
  lines.forEach((line, i) => {
    const points = line.values.flatMap((value, at) => (value > 0 ? [`${round(x(at))},${round(y(value))}`] : []));
    parts.push(
      `<polyline points="${points.join(' ')}" fill="none" stroke="${line.color}" stroke-width="2.5"/>`,
      ...points.map((point) => {
        const [cx, cy] = point.split(',');
        return `<circle cx="${cx ?? ''}" cy="${cy ?? ''}" r="3.5" fill="${line.color}"/>`;
      }),
      `<rect x="${AREA.right + 18}" y="${AREA.top + 24 * i}" width="14" height="14" fill="${line.color}"/>`,
      text(AREA.right + 40, AREA.top + 24 * i + 12, line.title, 'font-size="12"'),
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13" fill="${GREY}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" rx="8" fill="#fff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function text(x: number, y: number, words: string, attributes = ''): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" fill="#333" ${attributes}>${escaped}</text>`;
}

function round(value: number): string {
  return value.toFixed(1);
}

function short(value: number): string {
  return value >= 1000 ? `${value / 1000} k` : String(value);
}
