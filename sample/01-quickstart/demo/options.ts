import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** Ends after the burst. */
  readonly once: boolean;
  /** Port of the gateway; 0 for a free one. */
  readonly port: number;
  readonly calls: number;
}

export const USAGE = `npm start -- [options]
  --once        end after the burst
  --port <n>    port of the HTTP gateway, 0 for a free one; also PORT=<n> (default 3000; with --once a free one)
  --calls <n>   size of the burst (default 10000)
  --help`;

/** What the user asked for, or a sentence to show instead of a demonstration. */
export function parseOptions(args: readonly string[], env: NodeJS.ProcessEnv): DemoOptions | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean', default: false },
        port: { type: 'string' },
        calls: { type: 'string', default: '10000' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return USAGE;
    const port = values.port ?? (values.once ? '0' : (env['PORT'] ?? '3000'));
    return {
      once: values.once,
      port: whole(port, values.port === undefined ? 'PORT' : '--port', 0, 65_535),
      calls: whole(values.calls, '--calls', 1, 10_000_000),
    };
  } catch (error) {
    return `${(error as Error).message}\n\n${USAGE}`;
  }
}

function whole(text: string, name: string, min: number, max: number): number {
  const number = Number(text);
  if (text === '' || !Number.isInteger(number) || number < min || number > max)
    throw new Error(`${name} (${text}) must be a whole number from ${min} to ${max}`);
  return number;
}
