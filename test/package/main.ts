import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApplication, FLAVOURS, tryApplication } from './application.js';
import { describe, run } from './command.js';
import { tryMigration } from './migration.js';
import { tryPeers, type Built } from './peers.js';

/**
 * Packs the library and installs the tarball into fresh applications as a user would. Run by hand and by CI:
 * `npm run test:package`.
 *
 * 1. An application of each version of Nest that tries every entry of the package.
 * 2. Each of them against each other, and against the stock classes of each.
 * 3. The sample of a migration, whose own tests run before and after the switch.
 */
const root = join(import.meta.dirname, '..', '..', '..');
const sources = join(root, 'test', 'package');
const work = mkdtempSync(join(tmpdir(), 'pooled-tcp-package-'));
let passed = 0;
let failed = 0;

async function attempt(name: string, action: () => Promise<readonly string[]> | readonly string[]): Promise<void> {
  const startedAt = performance.now();
  try {
    for (const line of await action()) console.log(`        ${line}`);
    passed += 1;
    console.log(`passed  ${name} (${((performance.now() - startedAt) / 1000).toFixed(0)} s)`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED  ${name}\n${describe(error)}`);
  }
}

try {
  const packed = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', work], root)) as [{ filename: string }];
  const tarball = join(work, packed[0].filename);
  const built: Built[] = [];
  for (const flavour of FLAVOURS) {
    await attempt(flavour.name, () => {
      const folder = createApplication(flavour, work, sources, tarball);
      built.push({ flavour, folder });
      tryApplication(folder);
      return [];
    });
  }
  await attempt('every version with every other, and with the stock classes of each', () => tryPeers(built));
  await attempt('sample 06-migrating: its own tests, before and after the switch', () =>
    tryMigration(join(root, 'sample', '06-migrating'), work, tarball),
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
