import { Contest } from './contest.js';
import type { Summary } from './measure.js';
import type { BenchOptions } from './options.js';
import { MAX_BYTES_IN_FLIGHT, payloadCases, type PayloadCase } from './payloads.js';
import type { Pair } from './peer.js';
import { writeProfiles } from './profile.js';

/** One payload at one number of calls in flight, all contenders. */
export interface Point {
  readonly payload: PayloadCase;
  readonly inFlight: number;
  readonly results: ReadonlyMap<string, Summary>;
}

/** Echoes of every payload, the contenders in turns. */
export async function benchEcho(pairs: readonly Pair[], options: BenchOptions): Promise<readonly Point[]> {
  const points: Point[] = [];
  for (const payload of payloadCases.filter(({ name }) => options.cases.includes(name))) {
    for (const inFlight of options.inFlight ?? payload.inFlight) {
      if (inFlight * payload.bytes > MAX_BYTES_IN_FLIGHT) {
        console.log(`${payload.title}, ${inFlight} in flight: left out, more than 64 MiB in flight`);
        continue;
      }
      points.push(await benchPoint(pairs, payload, inFlight, options));
    }
  }
  return points;
}

async function benchPoint(
  pairs: readonly Pair[],
  payload: PayloadCase,
  inFlight: number,
  options: BenchOptions,
): Promise<Point> {
  const contest = new Contest(pairs, { payload: payload.name, inFlight, durationMs: options.durationMs });
  await contest.begin();
  await contest.round();
  if (options.profile !== undefined) await contest.all((pair) => startProfiles(pair));
  for (let round = 0; round < options.rounds; round++) await contest.round();
  if (options.profile !== undefined) {
    const folder = options.profile;
    await contest.all((pair) => writeProfiles(pair, folder, `${payload.name}-${inFlight}`));
  }
  const point = { payload, inFlight, results: contest.results() };
  console.log(`${payload.title}, ${inFlight} in flight: ${brief(point.results)}`);
  return point;
}

async function startProfiles(pair: Pair): Promise<void> {
  await Promise.all([pair.client.ask('profileStart', {}), pair.server.ask('profileStart', {})]);
}

function brief(results: ReadonlyMap<string, Summary>): string {
  return [...results]
    .map(([name, { outcome, callsPerSecond, failure }]) =>
      outcome === 'done'
        ? `${name} ${callsPerSecond.toFixed(0)}/s`
        : `${name} ${outcome === 'stalled' ? 'never completes' : (failure ?? 'failed')}`,
    )
    .join(', ');
}
