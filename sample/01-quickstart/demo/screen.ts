import cliProgress from 'cli-progress';
import pc from 'picocolors';
import { count } from './format.js';

const INDENT = '  ';

export interface Progress {
  update(done: number): void;
  stop(): void;
}

/** Everything that is printed. Without a terminal there is no colour and no bar, and the lines stay the same. */
export class Screen {
  readonly #out: NodeJS.WriteStream;
  readonly #isTerminal: boolean;
  readonly colors: ReturnType<typeof pc.createColors>;
  /** Lines that came while the bar was shown. */
  #held: string[] = [];
  #progress: Progress | undefined;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#isTerminal = out.isTTY;
    this.colors = pc.createColors(this.#isTerminal && pc.isColorSupported);
  }

  title(title: string, subtitle: string): void {
    this.line();
    this.line(this.colors.bold(title));
    this.line(this.colors.dim(subtitle));
  }

  heading(heading: string): void {
    this.line();
    this.line(this.colors.bold(this.colors.cyan(heading)));
  }

  good(text: string): void {
    this.line(`${this.colors.green('✓')} ${text}`);
  }

  bad(text: string): void {
    this.line(`${this.colors.red('✗')} ${text}`);
  }

  dim(text: string): void {
    this.line(this.colors.dim(text));
  }

  line(text = ''): void {
    if (this.#progress !== undefined) this.#held.push(text);
    else this.#out.write(`${text === '' ? '' : INDENT + text.replaceAll('\n', `\n${INDENT}`)}\n`);
  }

  progress(total: number): Progress {
    const progress = this.#isTerminal ? this.#bar(total) : this.#quarters(total);
    this.#progress = {
      update: (done) => {
        progress.update(done);
      },
      stop: () => {
        this.#progress = undefined;
        progress.stop();
        for (const line of this.#held.splice(0)) this.line(line);
      },
    };
    return this.#progress;
  }

  /** Leaves the terminal as it was found. */
  close(): void {
    this.#progress?.stop();
  }

  #bar(total: number): Progress {
    const { green, dim } = this.colors;
    const bar = new cliProgress.SingleBar({
      stream: this.#out,
      format: `${INDENT}${green('{bar}')} {percentage} %  ${dim('{value} of {total} calls')}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 40,
      fps: 30,
      formatValue: (value, _options, type) => (type === 'percentage' ? String(value) : count(value)),
      hideCursor: true,
      // Ctrl-C belongs to the launcher.
      gracefulExit: false,
    });
    bar.start(total, 0);
    return {
      update: (done) => {
        bar.update(done);
      },
      stop: () => {
        bar.stop();
      },
    };
  }

  #quarters(total: number): Progress {
    let shown = 0;
    return {
      update: (done) => {
        const quarter = Math.floor((4 * done) / total);
        if (quarter > shown)
          this.#out.write(`${INDENT}${String(quarter * 25).padStart(3)} %  ${count(done)} of ${count(total)} calls\n`);
        shown = quarter;
      },
      stop: () => {},
    };
  }
}
