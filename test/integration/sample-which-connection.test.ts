import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { percentile, run } from '../../sample/02-which-connection/caller/load.js';
import { chart } from '../../sample/02-which-connection/demo/chart.js';
import { LINKS, type Figures } from '../../sample/02-which-connection/demo/measure.js';
import { parseOptions, USAGE } from '../../sample/02-which-connection/demo/options.js';
import { tables } from '../../sample/02-which-connection/demo/table.js';
import { WAY_NAMES } from '../../sample/02-which-connection/ways.js';

const LOADER = join(import.meta.dirname, '../support/apps/typescript.mjs');
const MAIN = join(import.meta.dirname, '../../sample/02-which-connection/main.ts');
/** Bars of the chart: two rows of latencies, calls, CPU of two, ports. */
const BARS = WAY_NAMES.length * LINKS.length * (2 + 1 + 2 + 1);

/** The numbers of a line of the table, without their units. */
function cellsOf(line: string): number[] {
  return (line.match(/[\d,.]+/g) ?? []).map((cell) => Number(cell.replaceAll(',', '')));
}

describe('sample 02-which-connection', () => {
  let folder: string;
  let output: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'which-connection-'));
    const args = ['--import', LOADER, MAIN, '--quick', '--svg', join(folder, 'chart.svg')];
    // Rejects with what it said unless it ends by itself, and well.
    ({ stdout: output } = await promisify(execFile)(process.execPath, args, { cwd: folder, timeout: 90_000 }));
  }, 100_000);

  afterAll(() => rm(folder, { recursive: true }));

  it('prints a line for every way over every link under both loads', () => {
    for (const link of LINKS) {
      for (const load of ['20 calls a second', '64 callers at once']) {
        const [, table = ''] = output.split(`\n${link}, ${load}\nconnection `);
        for (const way of WAY_NAMES) expect(table.split('\n\n')[0]).toMatch(new RegExp(`^${way} .* µs$`, 'm'));
      }
    }
  });

  it('shows what distinguishes them: a connect for each call, one for all, or a few', () => {
    const [, plain = ''] = output.split('\nplain TCP, 20 calls a second\n');
    const lineOf = (way: string): number[] => cellsOf(new RegExp(`^${way} .*$`, 'm').exec(plain)?.[0] ?? '');
    const connects = 3;
    expect(lineOf('long')[connects]).toBe(1);
    expect(lineOf('short')[connects]).toBe(4);
    expect(lineOf('exclusive')[connects]).toBe(2);
    expect(lineOf('shared')[connects]).toBe(2);
  });

  it('writes the chart where it was told, and nothing else', async () => {
    expect(await readdir(folder)).toEqual(['chart.svg']);
    const svg = await readFile(join(folder, 'chart.svg'), 'utf8');
    expect(svg.match(/<rect x=/g)).toHaveLength(BARS);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('the parts of sample 02-which-connection', () => {
  it('refuse options they do not know, and two places for one chart', () => {
    expect(parseOptions(['--help'])).toBe(USAGE);
    expect(parseOptions(['--fast'])).toMatch(/^Unknown option '--fast'/);
    expect(parseOptions(['--write', '--svg', 'a.svg'])).toMatch(/^--write and --svg both say/);
    expect(parseOptions([])).toMatchObject({ svg: undefined });
    expect(parseOptions(['--write'])).toMatchObject({ svg: 'docs/which-connection.svg' });
  });

  it('call at a steady rate, time each call, and count those that fail', async () => {
    const called: number[] = [];
    const report = await run({ kind: 'few', perSecond: 1_000, seconds: 0.01 }, (i) => {
      called.push(i);
      return i === 3 ? Promise.reject(new Error('not this one')) : Promise.resolve();
    });
    expect(called).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(report).toMatchObject({ failed: 1, error: 'not this one' });
    expect(report.latencies).toHaveLength(9);
  });

  it('have as many calls in flight as there are callers', async () => {
    let inFlight = 0;
    let most = 0;
    await run({ kind: 'many', callers: 5, seconds: 0.02 }, async () => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await new Promise(setImmediate);
      inFlight -= 1;
    });
    expect({ most, inFlight }).toEqual({ most: 5, inFlight: 0 });
  });

  it('take percentiles by nearest rank', () => {
    const latencies = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([percentile(latencies, 0.5), percentile(latencies, 0.99), percentile([], 0.5)]).toEqual([50, 99, 0]);
  });

  it('draw bars in proportion, inside their panels, with a label for each', () => {
    const svg = chart(figuresOf(1), 'a machine');
    const widths = [...svg.matchAll(/<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
    expect(widths).toHaveLength(BARS);
    expect(Math.max(...widths)).toBeLessThanOrEqual(160);
    // The first panel: latencies of 1, 2, 3 and 4 ms, whose marks are at 8.
    expect(widths.slice(0, 4)).toEqual([16, 32, 48, 64]);
    expect(svg).toContain('>1 / 2</text>');
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(chart(figuresOf(0), 'nothing measured')).not.toMatch(/NaN|Infinity/);
  });

  it('lay tables out in columns', () => {
    const lines = tables(figuresOf(1));
    expect(lines.slice(1, 4)).toEqual([
      'plain TCP, 20 calls a second',
      'connection   calls/s       p50       p99   connects   in TIME_WAIT   at the server   CPU a call: caller   server',
      'long             100   1.00 ms   2.00 ms          1          1,000               2               100 µs    50 µs',
    ]);
  });

  /** Figures that grow from way to way. */
  function figuresOf(unit: number): Figures[] {
    return LINKS.flatMap((link) =>
      (['few', 'many'] as const).flatMap((load) =>
        WAY_NAMES.map((way, i) => {
          const size = (i + 1) * unit;
          const latency = { p50Ms: size, p99Ms: 2 * size };
          const counts = { calls: 100, failed: 0, error: undefined, seconds: 1, connects: 1 };
          return {
            link,
            load,
            way,
            caller: { ...counts, ...latency, timeWait: 1_000 * size, cpuMs: 10 * size },
            server: { mostOpen: 2, cpuMs: 5 * size },
          };
        }),
      ),
    );
  }
});
