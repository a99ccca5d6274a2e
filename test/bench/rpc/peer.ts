import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
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

  constructor(contender: string) {
    this.#child = fork(CHILD, [contender], { execArgv: ['--expose-gc'] });
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

  /** Ends the process and waits for that. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** The two processes of one contender. */
export class Pair {
  readonly contender: string;
  readonly #connections: number | undefined;
  #server: Peer | undefined;
  #client: Peer | undefined;
  #port = 0;

  constructor(contender: string, connections?: number) {
    this.contender = contender;
    this.#connections = connections;
  }

  get server(): Peer {
    if (this.#server === undefined) throw new Error(`the server of ${this.contender} does not run`);
    return this.#server;
  }

  get client(): Peer {
    if (this.#client === undefined) throw new Error(`the client of ${this.contender} does not run`);
    return this.#client;
  }

  async start(): Promise<void> {
    this.#server = new Peer(this.contender);
    this.#client = new Peer(this.contender);
    this.#port = (await this.#server.ask('listen', {})).port;
    await this.connect();
  }

  /** New connections, instead of those there are: a pool that has grown begins small again. */
  async connect(): Promise<void> {
    await this.client.ask('connect', { port: this.#port, connections: this.#connections });
  }

  async stop(): Promise<void> {
    await Promise.all([this.#server?.stop(), this.#client?.stop()]);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }
}
