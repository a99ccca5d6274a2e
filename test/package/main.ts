import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Packs the library, installs the tarball into fresh applications as a user would, type-checks them with
 * `skipLibCheck: false`, and runs them. Run by hand and by CI: `npm run test:package`.
 */
interface App {
  readonly name: string;
  readonly nest: string;
  readonly terminus: string;
  readonly type: 'module' | 'commonjs';
  readonly module: string;
}

const APPS: readonly App[] = [
  { name: 'Nest 12, ESM', nest: '12', terminus: '12', type: 'module', module: 'nodenext' },
  { name: 'Nest 11, CommonJS', nest: '11', terminus: '11', type: 'commonjs', module: 'nodenext' },
];

const root = join(import.meta.dirname, '..', '..', '..');
const work = mkdtempSync(join(tmpdir(), 'pooled-tcp-package-'));
let failed = 0;
try {
  const packed = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', work], root)) as [{ filename: string }];
  for (const app of APPS) {
    try {
      tryIn(app, join(work, packed[0].filename));
      console.log(`passed  ${app.name}`);
    } catch (error) {
      failed += 1;
      console.error(`FAILED  ${app.name}\n${describe(error)}`);
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`${APPS.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function tryIn(app: App, tarball: string): void {
  const folder = mkdtempSync(join(work, 'app-'));
  const { nest, terminus, type, module } = app;
  const dependencies = {
    '@nestjs/common': nest,
    '@nestjs/core': nest,
    '@nestjs/microservices': nest,
    '@nestjs/platform-express': nest,
    '@nestjs/terminus': terminus,
    '@types/node': '20',
    '@types/express': '5',
    'reflect-metadata': '0.2',
    rxjs: '7.8',
    typescript: nest === '11' ? '5.9' : '6.0.3',
    'nestjs-pooled-tcp': `file:${tarball}`,
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'app', private: true, type, dependencies }));
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable'],
    module,
    strict: true,
    skipLibCheck: false,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    outDir: 'out',
    types: ['node'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['main.ts'] }));
  cpSync(join(root, 'test', 'package', 'app.ts.txt'), join(folder, 'main.ts'));
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel', 'error'], folder);
  run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc')], folder);
  const output = run(process.execPath, ['out/main.js'], folder);
  if (!output.includes('it works')) throw new Error(`unexpected output:\n${output}`);
}

function run(command: string, args: readonly string[], cwd: string): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 240_000 });
}

function describe(error: unknown): string {
  const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string };
  return [message, stdout, stderr].join('\n').trim();
}
