import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** Ends after the demonstration. */
  readonly once: boolean;
  /** Port of the SP's HTTP server; 0 for a free one. */
  readonly port: number;
  /** Port of the ISMG; 0 for a free one. */
  readonly cmppPort: number;
  /** C of the link test. */
  readonly linkTestMs: number;
  /** Messages of the burst. */
  readonly messages: number;
}

export const USAGE = `npm run sample:05 -- [options]
  --once             end after the demonstration
  --port <n>         port of the SP's HTTP server, 0 for a free one (default 3000; with --once a free one)
  --cmpp-port <n>    port of the ISMG, 0 for a free one (default 7890; with --once a free one)
  --link-test <ms>   C, the silence after which a link test is sent (default 600; in CMPP 180000); T is a third of it
  --messages <n>     size of the burst (default 500)
  --help`;

/** What the user asked for, or a sentence to show instead. */
export function parseOptions(args: readonly string[]): DemoOptions | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean', default: false },
        port: { type: 'string' },
        'cmpp-port': { type: 'string' },
        'link-test': { type: 'string', default: '600' },
        messages: { type: 'string', default: '500' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return USAGE;
    return {
      once: values.once,
      port: whole(values.port ?? (values.once ? '0' : '3000'), '--port', 0, 65_535),
      cmppPort: whole(values['cmpp-port'] ?? (values.once ? '0' : '7890'), '--cmpp-port', 0, 65_535),
      linkTestMs: whole(values['link-test'], '--link-test', 100, 180_000),
      messages: whole(values.messages, '--messages', 1, 900),
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
