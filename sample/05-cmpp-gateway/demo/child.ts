import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { filter, firstValueFrom, ReplaySubject, take, toArray } from 'rxjs';
import type { FromChild, ToIsmg } from './messages.js';

/** Longer than the library's own `drainTimeoutMs`. */
const STOP_TIMEOUT_MS = 15_000;

type Of<T extends FromChild['type']> = Extract<FromChild, { type: T }>;

/** The ISMG or the SP, in a process of its own. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #messages = new ReplaySubject<FromChild>();
  /** Rejects when it ends without being asked to. */
  readonly #died: Promise<never>;
  readonly #closed: Promise<unknown>;

  /** @param folder of the program, which is its `main` */
  constructor(folder: string, env: NodeJS.ProcessEnv, onLine: (line: string) => void) {
    this.name = folder;
    // With the ending of this file: `.js` once it is built.
    const file = join(import.meta.dirname, '..', folder, `main${extname(import.meta.filename)}`);
    // Detached: Ctrl-C reaches the launcher only, which then stops both in order.
    const child = fork(file, { env: { ...process.env, ...env }, silent: true, detached: true });
    this.#process = child;
    child.on('message', (message: FromChild) => {
      this.#messages.next(message);
    });
    const outputs = [child.stdout, child.stderr].filter((output) => output !== null);
    for (const output of outputs) createInterface({ input: output }).on('line', onLine);
    // Not the event 'close': Node does not emit it where the parent has closed the channel.
    this.#closed = Promise.all([once(child, 'exit'), ...outputs.map((output) => once(output, 'close'))]);
    this.#died = this.#closed.then((): never => {
      throw new Error(`the ${folder} ended`);
    });
    this.#died.catch(() => {});
  }

  /** Where it listens. */
  async ready(): Promise<string> {
    const [message] = await this.take(1, (m): m is Of<'ready' | 'failed'> => m.type === 'ready' || m.type === 'failed');
    if (message?.type !== 'ready') throw new Error(`the ${this.name} did not start: ${message?.message ?? ''}`);
    return message.address;
  }

  /** The first messages that fit, of all it has sent since its start. */
  take<M extends FromChild>(count: number, fits: (message: FromChild) => message is M): Promise<M[]> {
    return Promise.race([firstValueFrom(this.#messages.pipe(filter(fits), take(count), toArray())), this.#died]);
  }

  send(message: ToIsmg): void {
    this.#process.send(message);
  }

  /** Lets it drain and end. @returns whether it did, and well */
  async stop(): Promise<boolean> {
    if (this.#process.connected) this.#process.disconnect();
    const timer = setTimeout(() => {
      this.kill();
    }, STOP_TIMEOUT_MS);
    await this.#closed;
    clearTimeout(timer);
    return this.#process.exitCode === 0;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}
