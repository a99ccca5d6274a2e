import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { extname, join } from 'node:path';

/** A program of this sample in a process of its own: it says that it is ready, and then answers each question. */
export class Child<Ready, Question extends object, Answer> {
  readonly ready: Ready;
  readonly #process: ChildProcess;
  readonly #died: Promise<never>;

  private constructor(process: ChildProcess, died: Promise<never>, ready: Ready) {
    this.#process = process;
    this.#died = died;
    this.ready = ready;
  }

  /** @param folder of the program, which is its `main` */
  static async start<Ready, Question extends object, Answer>(folder: string): Promise<Child<Ready, Question, Answer>> {
    // With the ending of this file: `.js` once it is built.
    const file = join(import.meta.dirname, '..', folder, `main${extname(import.meta.filename)}`);
    const child = fork(file);
    const died = once(child, 'exit').then(([code, signal]): never => {
      throw new Error(`the ${folder} ended (${String(signal ?? code)})`);
    });
    // Somebody hears of it when the next question is asked.
    died.catch(() => {});
    return new Child(child, died, await Child.#next<Ready>(child, died));
  }

  async ask(question: Question): Promise<Answer> {
    const answer = Child.#next<Answer>(this.#process, this.#died);
    this.#process.send(question);
    return answer;
  }

  /** The program ends when it is alone. */
  async close(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect();
    await this.#died.catch(() => {});
  }

  static async #next<T>(process: ChildProcess, died: Promise<never>): Promise<T> {
    const [message] = (await Promise.race([once(process, 'message'), died])) as [T];
    return message;
  }
}
