import { brokerBinary, brokerProgram } from './broker.js';
import { benchCold } from './cold.js';
import { entryOf } from './contenders/all.js';
import { Contest } from './contest.js';
import { EchoBench } from './echo.js';
import type { Findings } from './findings.js';
import { benchFlood } from './flood.js';
import { benchMemory } from './memory.js';
import { benchMixed, takingPart } from './mixed.js';
import { parseOptions, USAGE, type BenchOptions } from './options.js';
import { reportOf, writePage } from './page.js';
import { Pair } from './peer.js';
import { benchSlowReader } from './slow-reader.js';

/** `npm run bench -- rpc`: calls between two processes, beside the usual ways to make them. */
export async function benchRpc(args: readonly string[]): Promise<void> {
  let options: BenchOptions;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exitCode = 1;
    return;
  }
  const startedAt = performance.now();
  const findings = await run(options);
  console.log(`\n${reportOf(findings)}`);
  console.log(`\nIt took ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);
  if (options.writes) await writePage(findings);
}

async function run(options: BenchOptions): Promise<Findings> {
  const { parts } = options;
  const contenders = options.contenders.filter(hasItsBroker);
  const findings: { -readonly [K in keyof Findings]: Findings[K] } = { options };
  if (parts.includes('echo')) {
    const echo = new EchoBench(options);
    for (let boot = 0; boot < options.boots; boot++)
      await withPairs(contenders, options, async (pairs) => {
        await echo.boot(pairs, boot);
      });
    findings.echo = echo.results();
  }
  if (parts.includes('mixed'))
    await withPairs(takingPart(contenders), options, async (pairs) => {
      findings.mixed = await benchMixed(pairs, options);
    });
  if (parts.includes('flood')) findings.flood = await benchFlood(contenders);
  if (parts.includes('cold')) findings.cold = await benchCold();
  if (parts.includes('memory')) findings.memory = await benchMemory(contenders, options.idleConnections);
  if (parts.includes('slow-reader')) findings.slowReader = await benchSlowReader(contenders);
  return findings;
}

/** Runs with a pair of processes for each, so that nobody's objects and compiled code get in another's way. */
async function withPairs(
  contenders: readonly string[],
  { connections }: BenchOptions,
  use: (pairs: readonly Pair[]) => Promise<void>,
): Promise<void> {
  const pairs = contenders.map((name) => new Pair(name, { connections }));
  try {
    for (const pair of pairs) await pair.start();
    await warmUp(pairs);
    await use(pairs);
  } finally {
    await Promise.all(pairs.map((pair) => pair.stop()));
  }
}

/** Whether what has to run beside it is on this machine; says so where it is not. */
function hasItsBroker(name: string): boolean {
  const { title, broker } = entryOf(name);
  if (broker === undefined || brokerBinary(broker) !== undefined) return true;
  console.log(`${title} is left out: there is no ${brokerProgram(broker)} on this machine`);
  return false;
}

/** Slow contenders take longer until their code is compiled than a round lasts. */
async function warmUp(pairs: readonly Pair[]): Promise<void> {
  const contest = new Contest(pairs, { payload: '150B', inFlight: 64, durationMs: 1_000 });
  await contest.round();
}
