import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** Where an application writes lines, one for each thing it did. */
export const LINES_FD = 4;

const APPS = join(import.meta.dirname, 'apps');

export interface AppProcessOptions {
  /** The application, a file of `test/support/apps` without its ending. */
  readonly app: string;
  readonly args?: readonly string[];
  /** Words before the command: what `LabHost.prefix` gives. */
  readonly prefix?: readonly string[];
  /** Gets every line that the application writes to {@link LINES_FD}. */
  readonly onLine?: (line: string) => void;
}

/** An application of `test/support/apps` in a process of its own, with the signals that processes get. */
export class AppProcess<R = unknown> {
  /** The first thing it said. */
  readonly ready: R;
  readonly #child: ChildProcess;
  /** Settles when it has exited and everything it wrote has been read. */
  readonly #over: Promise<void>;

  private constructor(child: ChildProcess, ready: R, over: Promise<void>) {
    this.#child = child;
    this.ready = ready;
    this.#over = over;
  }

  /** Starts it, and resolves with its first message. */
  static async start<R>(options: AppProcessOptions): Promise<AppProcess<R>> {
    const { app, args = [], prefix = [], onLine } = options;
    const loader = join(APPS, 'typescript.mjs');
    const [command = '', ...rest] = [
      ...prefix,
      process.execPath,
      '--enable-source-maps',
      '--import',
      loader,
      join(APPS, `${app}.ts`),
      ...args,
    ];
    const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'] });
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    const lines = createInterface({ input: child.stdio[LINES_FD] as Readable });
    if (onLine !== undefined) lines.on('line', onLine);
    const closed = once(child, 'close');
    const over = Promise.all([closed, once(lines, 'close')]).then(() => undefined);
    const died = closed.then(([code, signal]) => {
      throw new Error(`${app} ended (${String(signal ?? code)}) before it was ready:\n${complaint}`);
    });
    const [ready] = (await Promise.race([once(child, 'message'), died])) as [R];
    died.catch(() => undefined);
    return new AppProcess(child, ready, over);
  }

  /** Tells it something, and resolves with the next thing it says. */
  async ask<A>(message: object): Promise<A> {
    const answer = once(this.#child, 'message');
    this.#child.send(message);
    return ((await answer) as [A])[0];
  }

  /** Tells it something, and does not wait for an answer. */
  tell(message: object): void {
    this.#child.send(message);
  }

  /** Sends a signal and does not wait. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it at once, and resolves when all it wrote has been read. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#over;
  }

  /** Resolves when it has exited by itself. */
  get exited(): Promise<void> {
    return this.#over;
  }
}
