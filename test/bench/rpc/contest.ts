import { failed, measure, summarise, type Round, type Summary } from './measure.js';
import type { Pair } from './peer.js';
import type { LoadQuestion } from './questions.js';

/** One round is too short for V8 to have compiled the code of a new payload: slow ones then reach the medians. */
const WARM_UP_FACTOR = 3;

/** The rounds of one plan, of every boot. */
export class Tally {
  readonly #rounds = new Map<string, Round[]>();
  readonly #out = new Map<string, Summary>();

  isOut(contender: string): boolean {
    return this.#out.has(contender);
  }

  add(contender: string, round: Round): void {
    const rounds = this.#rounds.get(contender) ?? [];
    this.#rounds.set(contender, rounds);
    rounds.push(round);
  }

  /** It could not do it, whatever it did before. */
  leave(contender: string, summary: Summary): void {
    this.#rounds.delete(contender);
    this.#out.set(contender, summary);
  }

  results(): ReadonlyMap<string, Summary> {
    const counted = [...this.#rounds].map(([contender, rounds]) => [contender, summarise(rounds)] as const);
    return new Map([...counted, ...this.#out]);
  }
}

/** The rounds of one plan in one boot. A contender that cannot do it leaves, and starts afresh for the next plan. */
export class Contest {
  readonly #plan: Omit<LoadQuestion, 'stallMs'>;
  readonly #pairs: Set<Pair>;
  readonly #tally: Tally;
  readonly #first: number;
  #number = 0;

  /** @param first how far the order in which they take turns has got */
  constructor(pairs: readonly Pair[], plan: Omit<LoadQuestion, 'stallMs'>, tally = new Tally(), first = 0) {
    this.#plan = plan;
    this.#first = first;
    this.#tally = tally;
    this.#pairs = new Set(pairs.filter(({ contender }) => !tally.isOut(contender)));
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
    await this.all(async (pair) => {
      const { durationMs, callsPerSecond } = this.#plan;
      const plan =
        isWarmUp && callsPerSecond === undefined
          ? { ...this.#plan, durationMs: WARM_UP_FACTOR * durationMs }
          : this.#plan;
      const round = await measure(pair, plan);
      if (round.load.outcome !== 'done') await this.#leave(pair, summarise([round]));
      else if (!isWarmUp) this.#tally.add(pair.contender, round);
    });
    this.#number += 1;
  }

  async all(act: (pair: Pair) => Promise<void>): Promise<void> {
    const pairs = [...this.#pairs];
    const first = (this.#first + this.#number) % Math.max(pairs.length, 1);
    for (const pair of [...pairs.slice(first), ...pairs.slice(0, first)]) {
      try {
        await act(pair);
      } catch (error) {
        await this.#leave(pair, failed((error as Error).message));
      }
    }
  }

  async #leave(pair: Pair, summary: Summary): Promise<void> {
    this.#pairs.delete(pair);
    this.#tally.leave(pair.contender, summary);
    await pair.restart();
  }
}
