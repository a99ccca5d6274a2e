import { writeFileSync } from 'node:fs';
import { arch, cpus, release, totalmem, type as systemType } from 'node:os';
import { format, resolveConfig } from 'prettier';
import { entries } from './contenders/all.js';
import type { Point } from './echo.js';
import { COLD_BOOTS, SLOW_CONNECT_MS } from './cold.js';
import type { Findings } from './findings.js';
import { FLOOD_CALLS } from './flood.js';
import { goalsTable } from './goals.js';
import { LINK_RATE, MIXED_IN_FLIGHT, PACED_RATE, type MixedFindings } from './mixed.js';
import { linePlot } from './svg.js';
import { coldTable, floodTable, memoryTable, mixedTable, pointTable, ratesTable, slowReaderTable } from './tables.js';

const PAGE = 'docs/benchmarks.md';
const PLOT = 'benchmarks-150B.svg';
const GIB = 1024 ** 3;

/** The report as Markdown. */
export function reportOf(findings: Findings): string {
  const { echo = [], flood, mixed, cold, memory, slowReader } = findings;
  const goals = goalsTable(findings);
  return [
    ...(goals === '' ? [] : ['## Goals', goals]),
    ...[...new Set(echo.map(({ payload }) => payload))].flatMap((payload) =>
      payloadSection(
        payload.title,
        echo.filter((point) => point.payload === payload),
      ),
    ),
    ...(flood === undefined
      ? []
      : [
          `## ${FLOOD_CALLS} echoes of 16 KiB at once, one connection`,
          'More than the buffers of both kernels hold. Both ends of the stock transport stop reading while they wait to write, and wait for ever.',
          floodTable(flood),
        ]),
    ...(mixed === undefined ? [] : mixedSection(mixed)),
    ...(cold === undefined ? [] : ['## Cold start', coldWords(), coldTable(cold)]),
    ...(memory === undefined
      ? []
      : [
          '## Idle connections',
          'One server, one client process with that many connections, nothing sent; after a garbage collection.',
          memoryTable(memory),
        ]),
    ...(slowReader === undefined
      ? []
      : [
          '## A slow reader of an endless stream',
          'A handler produces items of 16 KiB without end, ours a generator that waits when it is told to, and after the first the client reads nothing: its process hangs, or, where the client has streams that are pulled, it pulls no further item. The server is watched until it grows no more, for ten seconds at most.',
          slowReaderTable(slowReader),
        ]),
  ].join('\n\n');
}

/** Writes docs/benchmarks.md and its plot. */
export async function writePage(findings: Findings): Promise<void> {
  const small = findings.echo?.filter(({ payload }) => payload.name === '150B') ?? [];
  if (small.length > 1) writeFileSync(`docs/${PLOT}`, plotOf(small));
  const text = `${introduction(findings)}\n\n${reportOf(findings)}\n\n${explanation()}\n`;
  writeFileSync(PAGE, await format(text, { ...(await resolveConfig(PAGE)), filepath: PAGE }));
  console.log(`wrote ${PAGE}`);
}

function mixedSection({ closed, paced, link }: MixedFindings): string[] {
  return [
    '## Large replies among small calls',
    '150 B echoes; one call in a hundred is answered with 4 MiB instead, and is not in the figures.',
    '### A closed loop',
    `${MIXED_IN_FLIGHT} in flight: each answer starts the next call, so the large replies come as fast as both ends can make and read them, and what small calls wait for is CPU.`,
    mixedTable(closed),
    '### An open loop',
    `${PACED_RATE} calls begin each second, whatever is still unanswered, each measured from when it should have begun.`,
    mixedTable(paced),
    '### A throttled link',
    ...('refused' in link
      ? [`Not measured, as this machine grants no such link: \`${link.refused}\`.`]
      : [
          `Two network namespaces with ${link.shape}; ${LINK_RATE} calls a second in an open loop. One large reply fills the link for a third of a second.`,
          mixedTable(link.results),
        ]),
  ];
}

function coldWords(): string {
  return `A fresh client process, a server that is warm, 150 B echoes; medians of ${COLD_BOOTS} boots. One by one, the first call meets the connection that is not there yet. All at once, a hundred calls wait for the same first run of code that V8 has not compiled yet, so that figure is about the process as much as about the pool. _A connect of ${SLOW_CONNECT_MS} ms_ is a relay that accepts so late.`;
}

function payloadSection(title: string, points: readonly Point[]): string[] {
  return [
    `## Echo of a ${title}`,
    ...(points.length > 1 ? [ratesTable(points)] : []),
    ...(points[0]?.payload.name === '150B' && points.length > 1
      ? [`![Calls a second against calls in flight](${PLOT})`]
      : []),
    ...points.flatMap((point) => [`### ${point.payload.title}, ${point.inFlight} in flight`, pointTable(point)]),
  ];
}

function plotOf(points: readonly Point[]): string {
  return linePlot({
    title: 'Echo of a 150 B object',
    xTitle: 'calls in flight',
    yTitle: 'calls a second',
    ticks: points.map(({ inFlight }) => String(inFlight)),
    lines: entries
      .filter(({ name }) => points.some(({ results }) => results.has(name)))
      .map(({ name, title, color }) => ({
        title,
        color,
        values: points.map(({ results }) => results.get(name)?.callsPerSecond ?? NaN),
      })),
  });
}

function introduction({ options }: Findings): string {
  const { boots, rounds, durationMs } = options;
  return `# Benchmarks

Generated by \`npm run bench -- rpc\`, which prints the same and takes a quarter of an hour; \`--only\`, \`--case\` and
\`--inflight\` narrow it, \`--full\` measures every payload at every number of calls in flight, \`--profile DIR\`
records CPU profiles of both sides. The pool alone is measured by \`npm run bench -- pool\`.

Measured on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'},
${(totalmem() / GIB).toFixed(0)} GiB, ${systemType()} ${release()} ${arch()}, Node ${process.version}, everything on 127.0.0.1.
Numbers of one machine on one day: only the ratios within a run mean something elsewhere.

Each contender has two processes of its own, a server and a load generator. They take turns: every round runs
each of them for ${durationMs} ms, every time another one first; after one of three times that to warm up, ${rounds} are counted. Then the
processes of the echoes are started anew, ${boots} times in all: a process is faster or slower by a quarter for as long as it lives. Figures are the
medians of all counted rounds, with the slowest and the fastest beside the calls a second. A ratio is the median of the ratios
within each round, since a shared machine is faster for some seconds, for all: it is not that of the two medians.`;
}

function explanation(): string {
  return `## What is compared

- **ours**: \`PooledTcpClient\` and \`PooledTcpServer\` with their defaults, a pool of 2 to 10 connections. The column
  _connections_ says how many the pool had opened by itself. \`request()\` returns a promise, \`send()\` an Observable.
  _Stock wire_ is \`protocol: nestJson()\`: the same client on the wire that stock Nest servers understand.
- **stock Nest TCP**: \`ClientTCP\` and \`Transport.TCP\`, one connection. _A connection per call_ makes a client for each
  call and closes it after.
- **Nest gRPC**: \`@grpc/grpc-js\`, one channel, protobuf messages with the same fields.
- **Nest HTTP**: \`@nestjs/platform-fastify\`, called through an undici \`Pool\` of 10 connections, without pipelining.
- **Nest NATS**, **Nest Redis**: the stock transports through a broker, \`nats-server\` and \`redis-server\` with nothing
  persisted, started for the run. The broker takes CPU of its own, in the column _broker_; it is not in the sums of
  the goals.
- **bare net**: the limit. \`node:net\`, a length of four bytes and JSON; no ids, routes, deadlines or errors, and
  bytes as they are for the Buffer. Output is gathered into one write a tick, as ours is.
- **bare net, Nest handlers**: the same with 1 connection in front of the function that Nest makes of a controller's
  handler: the limit of every transport of Nest.

The handlers are controllers of Nest applications, but for bare net. All send the same objects and give them back.
A closed loop: each answer starts the next call. _CPU_ is the CPU time of a whole process divided by the calls;
_RSS_ is that of both processes together. A contender that gives no answer for four seconds _never completes_; it
gets new processes for what follows.`;
}
