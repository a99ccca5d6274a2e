import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A change of one file, as the README of the sample shows it. */
export interface Switch {
  readonly file: string;
  readonly lines: readonly { readonly from: string; readonly to: string }[];
}

/**
 * The changes in the \`diff\` blocks of a README: lines that go, each followed by the one that comes for it.
 *
 * @throws Error when one changes more than a line beside an import
 */
export function readSwitches(readme: string): Switch[] {
  return [...readme.matchAll(/```diff\n--- (\S+)\n([\s\S]*?)```/g)].map(([, file = '', body = '']) => {
    const pairs = [...body.matchAll(/^-(.*)\n\+(.*)\n/gm)].map(([, from = '', to = '']) => ({ from, to }));
    if (pairs.length * 2 !== body.trimEnd().split('\n').length) throw new Error(`${file}: not a diff of single lines`);
    const changed = pairs.filter(({ from }) => !from.startsWith('import '));
    if (changed.length !== 1 || pairs.length > 2) throw new Error(`${file}: the switch is more than one line`);
    if (file.endsWith('spec.ts')) throw new Error(`${file}: a test is changed`);
    return { file, lines: pairs };
  });
}

/** Makes the change; {@link revertSwitch} undoes it. */
export function applySwitch(folder: string, { file, lines }: Switch): void {
  edit(
    join(folder, file),
    lines.map(({ from, to }) => [from, to]),
  );
}

export function revertSwitch(folder: string, { file, lines }: Switch): void {
  edit(
    join(folder, file),
    lines.map(({ from, to }) => [to, from]),
  );
}

function edit(path: string, pairs: readonly (readonly [string, string])[]): void {
  const lines = readFileSync(path, 'utf8').split('\n');
  for (const [from, to] of pairs) {
    if (lines.filter((line) => line === from).length !== 1) throw new Error(`${path}: not exactly once: ${from}`);
    lines[lines.indexOf(from)] = to;
  }
  writeFileSync(path, lines.join('\n'));
}
