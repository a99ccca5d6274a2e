import { parseArgs } from 'node:util';
import { framingName, type FramingName } from '../wire/framings.js';

export interface DemoOptions {
  /** Ends after the scenes. */
  readonly once: boolean;
  readonly framing: FramingName;
  /** Of the gateway; 0 for a free one. */
  readonly port: number;
}

export const USAGE = `npm run sample:04 -- [options]
  --framing <f>  how frames are cut: ascii (default) or bcd
  --once         end after the scenes
  --port <n>     port of the HTTP gateway, 0 for a free one (default 3000; with --once a free one)
  --help`;

/** What the user asked for, or a sentence to show instead. */
export function parseOptions(args: readonly string[]): DemoOptions | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        framing: { type: 'string', default: 'ascii' },
        once: { type: 'boolean', default: false },
        port: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return USAGE;
    const port = values.port ?? (values.once ? '0' : '3000');
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new Error(`--port (${port}) must be from 0 to 65535`);
    return { once: values.once, framing: framingName(values.framing), port: Number(port) };
  } catch (error) {
    return `${(error as Error).message}\n\n${USAGE}`;
  }
}
