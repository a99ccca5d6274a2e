import { Contest, Tally } from './contest.js';
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

/** Echoes of every payload, the contenders in turns; once through for each boot. */
export class EchoBench {
  readonly #options: BenchOptions;
  readonly #points: readonly { readonly payload: PayloadCase; readonly inFlight: number; readonly tally: Tally }[];

  constructor(options: BenchOptions) {
    this.#options = options;
    this.#points = payloadCases
      .filter(({ name }) => options.cases.includes(name))
      .flatMap((payload) =>
        (options.inFlight ?? payload.inFlight)
          .filter((inFlight) => fits(payload, inFlight))
          .map((inFlight) => ({ payload, inFlight, tally: new Tally() })),
      );
  }

  /** @param pairs processes that were started for this */
  async boot(pairs: readonly Pair[], number: number): Promise<void> {
    const { rounds, durationMs, profile } = this.#options;
    for (const { payload, inFlight, tally } of this.#points) {
      const contest = new Contest(pairs, { payload: payload.name, inFlight, durationMs }, tally, number * rounds);
      await contest.begin();
      await contest.round();
      if (profile !== undefined) await contest.all((pair) => startProfiles(pair));
      for (let round = 0; round < rounds; round++) await contest.round();
      if (profile !== undefined)
        await contest.all((pair) => writeProfiles(pair, profile, `${payload.name}-${inFlight}`));
      console.log(`${payload.title}, ${inFlight} in flight: ${brief(tally.results())}`);
    }
  }

  results(): readonly Point[] {
    return this.#points.map(({ payload, inFlight, tally }) => ({ payload, inFlight, results: tally.results() }));
  }
}

function fits(payload: PayloadCase, inFlight: number): boolean {
  if (inFlight * payload.bytes <= MAX_BYTES_IN_FLIGHT) return true;
  console.log(`${payload.title}, ${inFlight} in flight: left out, more than 64 MiB in flight`);
  return false;
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
