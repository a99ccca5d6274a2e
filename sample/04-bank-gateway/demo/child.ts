import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { FromService } from './run-service.js';

/** Longer than the library's own `drainTimeoutMs`, so that this never cuts a drain short. */
const STOP_TIMEOUT_MS = 15_000;
/** What has happened is in the log soon after. */
const LINE_TIMEOUT_MS = 10_000;

/** Why a service did not do as it was asked; made for the screen, without a stack. */
export class ServiceError extends Error {}

/** A program of this sample in a process of its own. */
export class Child {
  readonly name: string;
  /** How it ended, in words; undefined for exit code 0. Never rejects. */
  readonly ended: Promise<string | undefined>;
  /** Lines of its output. */
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  readonly #waiting = new Map<RegExp, () => void>();

  /** @param folder of the program, which is its `main`, and its name */
  constructor(folder: string, env: NodeJS.ProcessEnv, onLine: (line: string) => void) {
    this.name = folder;
    // With the ending of this file: `.js` once it is built.
    const file = join(import.meta.dirname, '..', folder, `main${extname(import.meta.filename)}`);
    // Detached: Ctrl-C reaches the launcher only, which then stops the services in order.
    this.#process = fork(file, { env: { ...process.env, ...env }, silent: true, detached: true });
    const outputs = [this.#process.stdout, this.#process.stderr].filter((output) => output !== null);
    for (const output of outputs)
      createInterface({ input: output }).on('line', (line) => {
        this.lines.push(line);
        onLine(line);
        for (const [pattern, found] of this.#waiting) if (pattern.test(line)) found();
      });
    const exited = once(this.#process, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    this.ended = Promise.all([exited, ...outputs.map((output) => once(output, 'close'))]).then(
      ([[code, signal]]) => (code === 0 ? undefined : `ended (${String(signal ?? code)})`),
      (error: unknown) => `could not be started: ${(error as Error).message}`,
    );
  }

  /** Where it listens. Rejects when it ends instead. */
  async ready(): Promise<string> {
    const [message] = (await Promise.race([once(this.#process, 'message'), this.#end()])) as [FromService];
    if (message.type === 'ready') return message.address;
    throw new ServiceError(`${this.name}: ${message.message}`);
  }

  /** Resolves when it has printed such a line, before or within a few seconds. Rejects when it has not. */
  async prints(pattern: RegExp): Promise<void> {
    if (this.lines.some((line) => pattern.test(line))) return;
    const late = AbortSignal.timeout(LINE_TIMEOUT_MS);
    await Promise.race([
      new Promise<void>((found) => this.#waiting.set(pattern, found)),
      once(late, 'abort').then(() => {
        throw new ServiceError(`the ${this.name} has not printed ${String(pattern)}`);
      }),
      this.#end(),
    ]);
    this.#waiting.delete(pattern);
  }

  /** Lets it drain and end; says how it ended. Past a deadline it is killed. */
  async stop(): Promise<string | undefined> {
    if (this.#process.connected) this.#process.disconnect();
    const timer = setTimeout(() => {
      this.kill();
    }, STOP_TIMEOUT_MS);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async #end(): Promise<never> {
    throw new ServiceError(`${this.name} ${(await this.ended) ?? 'ended'}`);
  }
}
