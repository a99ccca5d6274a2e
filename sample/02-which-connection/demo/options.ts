import { parseArgs } from 'node:util';
import type { Load } from './messages.js';

export interface DemoOptions {
  readonly few: Load;
  readonly many: Load;
  /** Before anything is measured. */
  readonly warmUp: Load;
  /** Where the chart goes; undefined for nowhere. */
  readonly svg: string | undefined;
}

export const USAGE = `npm run sample:02 -- [options]
  --svg <file>  write the chart there
  --write       write it to docs/which-connection.svg, the one that docs/which-connection.md shows
  --quick       a few seconds instead of a minute; the figures mean little
  --help`;

/** What the user asked for, or a sentence to show instead. */
export function parseOptions(args: readonly string[]): DemoOptions | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        svg: { type: 'string' },
        write: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return USAGE;
    if (values.write && values.svg !== undefined) throw new Error('--write and --svg both say where the chart goes');
    const { quick } = values;
    return {
      few: { kind: 'few', perSecond: 20, seconds: quick ? 0.2 : 3 },
      many: { kind: 'many', callers: 64, seconds: quick ? 0.15 : 1.5 },
      warmUp: { kind: 'many', callers: 8, seconds: quick ? 0.05 : 0.5 },
      svg: values.write ? 'docs/which-connection.svg' : values.svg,
    };
  } catch (error) {
    return `${(error as Error).message}\n\n${USAGE}`;
  }
}
