import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** Ends after one server has been killed and all clients have gone on. */
  readonly once: boolean;
  /** Port of the page; 0 for a free one. */
  readonly port: number;
  readonly clients: number;
  /** Time between two prices of a symbol. */
  readonly tickMs: number;
  /** Whether clients say where they were. */
  readonly resumes: boolean;
}

export const USAGE = `npm run sample:03 -- [options]
  --once         end after one server was killed; exit code 1 when a client saw a price go backwards, or missed one
  --port <n>     port of the page, 0 for a free one (default 3000; with --once a free one)
  --clients <n>  clients that watch every price (default 25)
  --tick <ms>    time between two prices of a symbol (default 10)
  --no-resume    clients do not say where they were: to see what that is for
  --help`;

/** What the user asked for, or a sentence to show instead of a demonstration. */
export function parseOptions(args: readonly string[]): DemoOptions | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean', default: false },
        port: { type: 'string' },
        clients: { type: 'string', default: '25' },
        tick: { type: 'string', default: '10' },
        'no-resume': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return USAGE;
    return {
      once: values.once,
      port: whole(values.port ?? (values.once ? '0' : '3000'), '--port', 0, 65_535),
      clients: whole(values.clients, '--clients', 1, 1_000),
      tickMs: whole(values.tick, '--tick', 1, 10_000),
      resumes: !values['no-resume'],
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
