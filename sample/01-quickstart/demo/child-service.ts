import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { FromService, ToGateway } from './messages.js';

/** Longer than the library's own `drainTimeoutMs`, so that this one never cuts a drain short. */
const STOP_TIMEOUT_MS = 15_000;

export interface ChildServiceEvents {
  message(message: FromService): void;
  /** A line of its output. */
  line(line: string): void;
}

/** Why a service did not do as it was asked; made for the screen, without a stack. */
export class ServiceError extends Error {}

/** A service in a process of its own. */
export class ChildService {
  readonly name: string;
  /** How it ended, in words; undefined for exit code 0. Never rejects. */
  readonly ended: Promise<string | undefined>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<FromService['type'], (message: FromService) => void>();
  #failure: string | undefined;

  constructor(name: string, file: URL, env: NodeJS.ProcessEnv, events: ChildServiceEvents) {
    this.name = name;
    // Detached: Ctrl-C reaches the launcher only, which then stops the services in order.
    this.#child = fork(fileURLToPath(file), { env: { ...process.env, ...env }, silent: true, detached: true });
    this.#child.on('message', (message: FromService) => {
      this.#onMessage(message);
      events.message(message);
    });
    const outputs = [this.#child.stdout, this.#child.stderr].filter((output) => output !== null);
    for (const output of outputs) {
      createInterface({ input: output }).on('line', (line) => {
        events.line(line);
      });
    }
    // Not the event 'close': Node does not emit it where the parent has closed the channel.
    this.ended = Promise.all([endOf(this.#child), ...outputs.map((output) => once(output, 'close'))]).then(
      ([how]) => how,
    );
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The next message of a type. Rejects with a {@link ServiceError} when the service ends instead. */
  async next<T extends FromService['type']>(type: T): Promise<Extract<FromService, { type: T }>> {
    const message = await Promise.race([
      new Promise<FromService>((resolve) => this.#waiting.set(type, resolve)),
      this.ended.then((how) => {
        throw this.errorOf(how);
      }),
    ]);
    return message as Extract<FromService, { type: T }>;
  }

  ask<T extends ToGateway['type']>(message: ToGateway & { type: T }): Promise<Extract<FromService, { type: T }>> {
    const answer = this.next<T>(message.type);
    this.#child.send(message, () => {});
    return answer;
  }

  /** Lets it drain and end; says how it ended. Past a deadline it is killed. */
  async stop(): Promise<string | undefined> {
    if (this.#child.connected) this.#child.disconnect();
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
    this.#child.kill('SIGKILL');
  }

  /** An end that was not asked for, as an error. */
  errorOf(how: string | undefined): ServiceError {
    return new ServiceError(this.#failure ?? `${this.name} (pid ${this.pid}) ${how ?? 'ended'}`);
  }

  #onMessage(message: FromService): void {
    if (message.type === 'failed') this.#failure = message.message;
    this.#waiting.get(message.type)?.(message);
    this.#waiting.delete(message.type);
  }
}

function endOf(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      resolve(code === 0 ? undefined : signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
    });
    child.on('error', (error) => {
      resolve(`could not be started: ${error.message}`);
    });
  });
}
