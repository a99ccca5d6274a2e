import { execFileSync } from 'node:child_process';

/** Runs a program to its end and returns what it printed. */
export function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 240_000,
    env: { ...process.env, ...env },
  });
}

/** `npm install`, without what only a developer reads. */
export function install(folder: string): void {
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel', 'error'], folder);
}

/** What went wrong, with all that the program said. */
export function describe(error: unknown): string {
  const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string };
  return [message, stdout, stderr].join('\n').trim();
}
