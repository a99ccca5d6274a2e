/** Figures of a test run: recorded while it goes on, printed at its end, never asserted in milliseconds. */
export class Figures {
  readonly #title: string;
  readonly #rows: (readonly string[])[] = [];

  constructor(title: string, columns: readonly string[]) {
    this.#title = title;
    this.#rows.push(columns);
  }

  add(...row: readonly (string | number)[]): void {
    this.#rows.push(row.map((cell) => (typeof cell === 'number' ? String(Math.round(cell)) : cell)));
  }

  /** As a table of the documentation, past Jest's own reporting: a figure needs no stack. */
  print(): void {
    if (this.#rows.length < 2) return;
    const [head = [], ...body] = this.#rows;
    const widths = head.map((_, i) => Math.max(...this.#rows.map((row) => (row[i] ?? '').length)));
    const line = (row: readonly string[]): string =>
      `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
    const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
    process.stdout.write(`\n${this.#title}\n\n${[line(head), rule, ...body.map(line)].join('\n')}\n\n`);
  }
}
