import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Broker } from './broker.js';
import { entryOf } from './contenders/all.js';
import type { Link } from './link.js';
import type { Kind, Questions } from './questions.js';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));

interface Reply {
  readonly id: number;
  readonly answer?: unknown;
  readonly problem?: string;
}

/** One child process, which answers questions. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  /** @param through a command that the process is started by, such as one that enters a network namespace */
  constructor(contender: string, through: readonly string[] = []) {
    const [execPath, ...words] = [...through, process.execPath];
    this.#child = fork(CHILD, [contender], { execPath, execArgv: [...words, '--expose-gc'] });
    this.#child.on('message', ({ id, answer, problem }: Reply) => {
      const question = this.#asked.get(id);
      this.#asked.delete(id);
      if (problem === undefined) question?.resolve(answer);
      else question?.reject(new Error(`${contender}: ${problem}`));
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#asked.values())
        reject(new Error(`the process of ${contender} ended: ${signal ?? `exit code ${code ?? 'unknown'}`}`));
      this.#asked.clear();
    });
  }

  /** @param timeoutMs after which the process is ended, since it is stuck */
  ask<K extends Kind>(kind: K, asked: Questions[K]['asked'], timeoutMs = 60_000): Promise<Questions[K]['answer']> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
      this.#asked.set(id, {
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer as Questions[K]['answer']);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#child.send({ id, kind, asked });
    });
  }

  /** Stops the process where it is, as one that hangs: it keeps its sockets and reads nothing. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Ends the process and waits for that. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

export interface PairOptions {
  /** Connections, instead of the contender's default. */
  readonly connections?: number | undefined;
  /** What lies between the two processes, instead of loopback. */
  readonly link?: Link | undefined;
}

/** The two processes of one contender, and its broker where it has one. */
export class Pair {
  readonly contender: string;
  readonly #options: PairOptions;
  #broker: Broker | undefined;
  #server: Peer | undefined;
  #client: Peer | undefined;
  #port = 0;

  constructor(contender: string, options: PairOptions = {}) {
    this.contender = contender;
    this.#options = options;
  }

  get server(): Peer {
    if (this.#server === undefined) throw new Error(`the server of ${this.contender} does not run`);
    return this.#server;
  }

  get client(): Peer {
    if (this.#client === undefined) throw new Error(`the client of ${this.contender} does not run`);
    return this.#client;
  }

  /** CPU of the broker so far, in microseconds; 0 where there is none, NaN where the system does not say. */
  brokerMicros(): number {
    return this.#broker?.cpuMicros() ?? 0;
  }

  async start(): Promise<void> {
    const { link } = this.#options;
    const { broker } = entryOf(this.contender);
    if (broker !== undefined) this.#broker = await Broker.start(broker);
    this.#server = new Peer(this.contender, link?.commandOf('server'));
    this.#client = new Peer(this.contender, link?.commandOf('client'));
    const asked = { host: link?.serverHost, brokerPort: this.#broker?.port };
    this.#port = (await this.#server.ask('listen', asked)).port;
    await this.connect();
  }

  /** New connections, instead of those there are: a pool that has grown begins small again. */
  async connect(): Promise<void> {
    const { connections, link } = this.#options;
    await this.client.ask('connect', { host: link?.serverHost, port: this.#port, connections });
  }

  async stop(): Promise<void> {
    await Promise.all([this.#server?.stop(), this.#client?.stop()]);
    await this.#broker?.stop();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }
}
