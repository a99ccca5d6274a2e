import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { chart } from './demo/chart.js';
import { measureAll } from './demo/measure.js';
import { parseOptions, USAGE, type DemoOptions } from './demo/options.js';
import { count, tables, titleOf } from './demo/table.js';

/** Measures, prints the tables, writes the chart where it was asked for. Returns the exit code. */
async function main(options: DemoOptions): Promise<number> {
  const words = `Node ${process.versions.node}, ${process.platform} ${process.arch}, ${availableParallelism()} cores, one machine`;
  console.log(`The same job over a long connection, short ones and two pools\n${words}\n`);
  const all = await measureAll(options, ({ link, load, way, caller }) => {
    console.log(`${link}, ${titleOf(load)}, ${way}: ${count(caller.calls)} calls`);
  });
  for (const line of tables(all)) console.log(line);
  if (options.svg !== undefined) {
    await writeFile(options.svg, chart(all, words));
    console.log(`\nThe chart is in ${options.svg}`);
  } else console.log('\nFor a chart: --svg <file>');
  const failed = all.filter(({ caller }) => caller.failed > 0);
  for (const { link, load, way, caller } of failed)
    console.error(`${link}, ${titleOf(load)}, ${way}: ${caller.failed} calls failed, the first: ${caller.error ?? ''}`);
  return failed.length === 0 ? 0 : 1;
}

const options = parseOptions(process.argv.slice(2));
if (typeof options === 'string') {
  console.log(options);
  process.exitCode = options === USAGE ? 0 : 2;
} else process.exitCode = await main(options);
