import { clientRules } from '../../lib/client/settings.js';
import { MAX_TIMER_MS, type OptionRule } from '../../lib/common/options.js';
import { serverRules } from '../../lib/server/settings.js';

type Rules = Readonly<Record<string, OptionRule<unknown>>>;

const INTRODUCTION = `# Options

This page is generated from the tables that check the options at run time, so it cannot differ from them.

Every option may be left out. Options are resolved once, when the client or server is created, and frozen;
\`client.settings\` and \`server.settings\` show what is in force. An unknown name, a wrong value or a contradiction
is refused with \`PTCP_OPTION_UNKNOWN\`, \`PTCP_OPTION_INVALID\` or \`PTCP_OPTION_CONFLICT\`; nothing is repaired
silently. Durations end in \`Ms\` and are milliseconds, sizes end in \`Bytes\`. No duration is longer than
${group(MAX_TIMER_MS)}, which is what Node's timers can hold.

A group that says "an object or false" is on by default, unless its default is \`false\`. \`false\` switches it off, \`true\` means its defaults.`;

const CLIENT = `## Client

For \`PooledTcpModule.forRoot()\` and \`forRootAsync()\`, \`@PooledClient()\` and \`new PooledTcpClient()\`. A place to
connect to is required: \`endpoints\`, or \`host\`, or \`port\`.

An endpoint is \`'10.0.0.1:4000'\`, \`'[::1]:4000'\`, \`'tls://orders:4000'\`, \`'unix:/run/orders.sock'\`,
\`{ host, port }\` or \`{ path }\`. Instead of a list, \`endpoints\` takes a resolver: \`dnsEndpoints({ host, port })\`
follows A and AAAA records, \`srvEndpoints({ name })\` follows SRV records, and any object with a method
\`watch(listener)\` will do.

\`forRoot()\` and \`forRootAsync()\` also take \`isGlobal\` (default \`true\`): whether every module can inject the pool.`;

const SERVER = `## Server

For \`new PooledTcpServer()\`.`;

const CALLS = `## Single calls

| call | option | default | meaning |
| --- | --- | --- | --- |
| \`request()\` | \`timeoutMs\` | \`requestTimeoutMs\` | Time for the reply, waiting for a connection included. |
| \`request()\` | \`signal\` | | Gives up when it fires; the server is told. |
| \`request()\` | \`metadata\` | | Strings beside the data; the handler reads them with \`context.getMetadata()\`. |
| \`acquire()\`, \`withLease()\` | \`timeoutMs\` | \`pool.acquireTimeoutMs\` | Time to get a connection. |
| \`acquire()\`, \`withLease()\` | \`signal\` | | Gives up waiting when it fires. |`;

/** docs/options.md, not formatted yet. */
export function optionsPage(): string {
  return [INTRODUCTION, CLIENT, ...tables('Client', clientRules), SERVER, ...tables('Server', serverRules), CALLS].join(
    '\n\n',
  );
}

/** The table of a level, then one for each group in it. */
function tables(side: string, rules: Rules, prefix = ''): string[] {
  const rows = Object.entries(rules).map(([name, rule]) => row(prefix + name, rule));
  const inner = Object.entries(rules).flatMap(([name, { rules: nested }]) =>
    nested === undefined ? [] : [`### ${side}: \`${name}\``, ...tables(side, nested, `${prefix}${name}.`)],
  );
  return [['| option | default | allowed | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n'), ...inner];
}

function row(path: string, { default: value, allowed, text, rules }: OptionRule<unknown>): string {
  const shown = rules === undefined || value === false ? show(value, path) : 'see below';
  return `| \`${path}\` | ${shown} | ${cell(allowed.replace(/ from (\d+) to 2147483647$/, ', $1 or more'))} | ${cell(text)} |`;
}

function show(value: unknown, path: string): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return `\`'${value}'\``;
  if (typeof value !== 'number') return `\`${JSON.stringify(value)}\``;
  return path.endsWith('Bytes') ? `\`${group(value)}\` (${value / 1024 ** 2} MiB)` : `\`${group(value)}\``;
}

/** 10000 as TypeScript lets one write it: 10_000. */
function group(value: number): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, '_');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
