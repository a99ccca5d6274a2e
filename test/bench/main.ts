import { cpus } from 'node:os';
import { benchCluster } from './cluster/main.js';
import { benchHostile } from './hostile/main.js';
import { benchPool } from './pool/main.js';
import { benchPush } from './push/main.js';
import { benchRpc } from './rpc/main.js';

/** `npm run bench`: every suite; `npm run bench -- pool`: the one named, with its own options behind the name. */
const suites: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  pool: benchPool,
  cluster: benchCluster,
  push: benchPush,
  rpc: benchRpc,
  hostile: benchHostile,
};

const [name, ...args] = process.argv.slice(2);
if (name !== undefined && !(name in suites)) {
  console.error(`no benchmark is called ${name}; there are ${Object.keys(suites).join(', ')}`);
  process.exitCode = 1;
} else {
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`);
  for (const wanted of name === undefined ? Object.keys(suites) : [name]) await suites[wanted]?.(args);
}
