import { cpus } from 'node:os';
import { benchPool } from './pool/main.js';

/** `npm run bench`: every suite; `npm run bench -- pool`: the ones named. */
const suites: Readonly<Record<string, () => Promise<void>>> = { pool: benchPool };

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in suites));
if (unknown.length > 0) {
  console.error(`no benchmark is called ${unknown.join(', ')}; there are ${Object.keys(suites).join(', ')}`);
  process.exitCode = 1;
} else {
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`);
  for (const name of wanted.length > 0 ? wanted : Object.keys(suites)) await suites[name]?.();
}
