import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, install, run } from './command.js';
import { applySwitch, readSwitches, revertSwitch, type Switch } from './switch.js';

/** What the tests of the sample do not need. */
const TOOLS = /^(@nestjs\/(cli|mau|schematics)|@vitest\/coverage-v8|oxlint.*|prettier|source-map-support)$/;

interface VitestReport {
  readonly numPassedTests: number;
  readonly numTotalTests: number;
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly failureMessages: readonly string[] }[];
  }[];
}

/**
 * Runs the own tests of the sample, which nobody changes, in each state of its migration: nothing switched, either
 * side, both. Each time it is type-checked, and its microservice runs as a process of its own.
 *
 * @returns what passed, a line for each state
 */
export async function tryMigration(sample: string, work: string, tarball: string): Promise<string[]> {
  const folder = mkdtempSync(join(work, 'migrating-'));
  cpSync(sample, folder, { recursive: true, filter: (path) => !/\/(node_modules|dist)$/.test(path) });
  writeFileSync(join(folder, 'package.json'), manifest(readFileSync(join(sample, 'package.json'), 'utf8'), tarball));
  install(folder);
  const switches = readSwitches(readFileSync(join(sample, 'README.md'), 'utf8'));
  const [server, client] = switches;
  if (server === undefined || client === undefined || switches.length !== 2)
    throw new Error('the README does not show one switch on each side');

  const passed: string[] = [];
  const states: readonly [string, readonly Switch[]][] = [
    ['both stock', []],
    ['server switched', [server]],
    ['client switched', [client]],
    ['both switched', [server, client]],
  ];
  for (const [state, applied] of states) {
    for (const change of applied) applySwitch(folder, change);
    const tests = await runTests(folder);
    for (const change of applied) revertSwitch(folder, change);
    passed.push(`${state}: ${tests} tests`);
  }
  if (new Set(passed.map((line) => line.replace(/.*: /, ''))).size !== 1) throw new Error(passed.join('\n'));
  return passed;
}

function manifest(text: string, tarball: string): string {
  const { dependencies, devDependencies, ...rest } = JSON.parse(text) as Record<string, Record<string, string>>;
  const tools = Object.entries(devDependencies ?? {}).filter(([name]) => !TOOLS.test(name));
  return JSON.stringify({
    ...rest,
    dependencies: { ...dependencies, 'nestjs-pooled-tcp': `file:${tarball}` },
    devDependencies: Object.fromEntries(tools),
  });
}

/** @returns how many tests passed, which are all there are */
async function runTests(folder: string): Promise<number> {
  const env = { GREETER_PORT: String(await freePort()) };
  rmSync(join(folder, 'dist'), { recursive: true, force: true });
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
  run(process.execPath, [tsc, '--noEmit', '--incremental', 'false'], folder);
  run(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--incremental', 'false'], folder);
  const greeter = spawn(process.execPath, ['dist/greeter/main.js'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const exited = once(greeter, 'exit');
  try {
    await listening(greeter.stdout, exited);
    return vitest(folder, [], env) + vitest(folder, ['--config', './vitest.config.e2e.ts'], env);
  } finally {
    greeter.kill('SIGTERM');
    await exited;
  }
}

/** Nest says so in its log. */
async function listening(output: NodeJS.ReadableStream, exited: Promise<unknown>): Promise<void> {
  let text = '';
  while (!text.includes('successfully started')) {
    const said = await Promise.race([once(output, 'data'), exited.then(() => undefined)]);
    if (said === undefined) throw new Error(`the greeter ended before it listened:\n${text}`);
    text += String(said[0]);
  }
  output.resume();
}

function vitest(folder: string, args: readonly string[], env: NodeJS.ProcessEnv): number {
  const file = join(folder, 'report.json');
  rmSync(file, { force: true });
  const command = [join('node_modules', 'vitest', 'vitest.mjs'), 'run', ...args, '--reporter=json'];
  const complaint = failureOf(() => run(process.execPath, [...command, `--outputFile=${file}`], folder, env));
  if (!existsSync(file)) throw new Error(`vitest made no report: ${complaint ?? ''}`);
  const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  if (complaint === undefined && report.numPassedTests > 0 && report.numPassedTests === report.numTotalTests)
    return report.numPassedTests;
  const failures = report.testResults.flatMap(({ message, assertionResults }) => [
    message,
    ...assertionResults.flatMap(({ fullName, failureMessages }) =>
      failureMessages.map((text) => `${fullName}: ${text}`),
    ),
  ]);
  throw new Error([`${report.numPassedTests} of ${report.numTotalTests} tests passed`, ...failures].join('\n'));
}

function failureOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return describe(error);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
