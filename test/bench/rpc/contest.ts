import { failed, measure, summarise, type Round, type Summary } from './measure.js';
import type { Pair } from './peer.js';
import type { LoadQuestion } from './questions.js';

/** One round is too short for V8 to have compiled the code of a new payload: slow ones then reach the medians. */
const WARM_UP_FACTOR = 3;

/** The rounds of one plan. A contender that cannot do it leaves, and starts afresh for the next plan. */
export class Contest {
  readonly #plan: Omit<LoadQuestion, 'stallMs'>;
  readonly #rounds = new Map<Pair, Round[]>();
  readonly #out = new Map<string, Summary>();
  #number = 0;

  constructor(pairs: readonly Pair[], plan: Omit<LoadQuestion, 'stallMs'>) {
    this.#plan = plan;
    for (const pair of pairs) this.#rounds.set(pair, []);
  }

  /** New connections, and one call, checked. */
  async begin(): Promise<void> {
    await this.all(async (pair) => {
      await pair.connect();
      const { problem } = await pair.client.ask('verify', { payload: this.#plan.payload }, 10_000);
      if (problem !== undefined) throw new Error(problem);
    });
  }

  /** Each contender once, every time another one first. The first round warms up and is not counted. */
  async round(): Promise<void> {
    const isWarmUp = this.#number === 0;
    await this.all(async (pair, rounds) => {
      const { durationMs, callsPerSecond } = this.#plan;
      const plan =
        isWarmUp && callsPerSecond === undefined
          ? { ...this.#plan, durationMs: WARM_UP_FACTOR * durationMs }
          : this.#plan;
      const round = await measure(pair, plan);
      if (round.load.outcome !== 'done') await this.#leave(pair, summarise([round]));
      else if (!isWarmUp) rounds.push(round);
    });
    this.#number += 1;
  }

  async all(act: (pair: Pair, rounds: Round[]) => Promise<void>): Promise<void> {
    const entries = [...this.#rounds];
    const first = this.#number % Math.max(entries.length, 1);
    for (const [pair, rounds] of [...entries.slice(first), ...entries.slice(0, first)]) {
      try {
        await act(pair, rounds);
      } catch (error) {
        await this.#leave(pair, failed((error as Error).message));
      }
    }
  }

  results(): ReadonlyMap<string, Summary> {
    const counted = [...this.#rounds].map(([pair, rounds]) => [pair.contender, summarise(rounds)] as const);
    return new Map([...counted, ...this.#out]);
  }

  async #leave(pair: Pair, summary: Summary): Promise<void> {
    this.#rounds.delete(pair);
    this.#out.set(pair.contender, summary);
    await pair.restart();
  }
}
