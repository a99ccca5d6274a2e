import type { Profiler } from 'node:inspector';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { table } from '../report.js';
import type { Pair } from './peer.js';

const SHOWN = 25;
/** What V8 calls the time in which nothing of ours runs. */
const NOT_WORK = new Set(['(idle)', '(root)']);

/** Writes the profiles of both sides for DevTools or speedscope, and prints what took most of the time. */
export async function writeProfiles(pair: Pair, folder: string, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const side of ['client', 'server'] as const) {
    const file = resolve(join(folder, `${pair.contender}-${name}-${side}.cpuprofile`));
    await pair[side].ask('profileStop', { file });
    console.log(`\n${pair.contender}, ${name}, ${side}: ${file}\n`);
    console.log(selfTimes(JSON.parse(readFileSync(file, 'utf8')) as Profiler.Profile));
  }
}

/** Functions by the time spent in themselves, as shares of the time that was not idle. */
function selfTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): string {
  const labels = new Map(nodes.map(({ id, callFrame }) => [id, labelOf(callFrame)]));
  const times = new Map<string, number>();
  let total = 0;
  samples.forEach((id, i) => {
    const label = labels.get(id) ?? 'unknown';
    if (NOT_WORK.has(label)) return;
    const micros = timeDeltas[i] ?? 0;
    total += micros;
    times.set(label, (times.get(label) ?? 0) + micros);
  });
  const rows = [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([label, micros]) => [`${((100 * micros) / total).toFixed(1)} %`, label]);
  return table(['self', 'function'], rows);
}

function labelOf({ functionName, url, lineNumber }: Profiler.Profile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName;
  const place = url.replace(/^.*\/(?=(?:\.demo|node_modules)\/)/, '').replace(/^node:/, 'node:');
  return `${functionName === '' ? '(anonymous)' : functionName} ${place}:${lineNumber + 1}`;
}
