import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TapeOptions } from '../quote-server/tape-options.js';

const SERVER = new URL(`../quote-server/main${extname(import.meta.url)}`, import.meta.url);

/** A quote server in a process of its own. */
export class QuoteProcess {
  readonly name: string;
  readonly address: string;
  readonly #child: ChildProcess;

  private constructor(name: string, address: string, child: ChildProcess) {
    this.name = name;
    this.address = address;
    this.#child = child;
  }

  static async start(tape: TapeOptions, port = 0): Promise<QuoteProcess> {
    // Detached: Ctrl-C reaches the launcher only, which then stops the servers after their clients.
    const child = fork(fileURLToPath(SERVER), [JSON.stringify({ ...tape, port })], { detached: true });
    const died = once(child, 'exit').then(([code]) => {
      throw new Error(`${tape.name} ended with exit code ${String(code)} before it listened`);
    });
    const [{ address }] = (await Promise.race([once(child, 'message'), died])) as [{ address: string }];
    died.catch(() => {});
    return new QuoteProcess(tape.name, address, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get port(): number {
    return Number(this.address.slice(this.address.lastIndexOf(':') + 1));
  }

  /** `kill -9`: no goodbye, no drain. */
  async kill(): Promise<void> {
    const gone = this.#over();
    this.#child.kill('SIGKILL');
    await gone;
  }

  /** Lets it drain and end. */
  async stop(): Promise<void> {
    const gone = this.#over();
    if (this.#child.connected) this.#child.disconnect();
    await gone;
  }

  async #over(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
