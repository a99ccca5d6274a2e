import { Contest, Tally } from './contest.js';
import { Link } from './link.js';
import type { Summary } from './measure.js';
import type { BenchOptions } from './options.js';
import { Pair } from './peer.js';
import type { LoadQuestion } from './questions.js';

export const MIXED_IN_FLIGHT = 64;
/** Well below what any contender reaches, and so few large ones that their own CPU leaves most of a core. */
export const PACED_RATE = 500;
/** One large reply takes a third of a second of the link: with these, it is busy half of the time. */
export const LINK_RATE = 150;
/** Large calls are rare: a round takes longer until it has seen enough of them. */
const CLOSED_FACTOR = 3;
const PACED_FACTOR = 10;
const LINK_FACTOR = 25;
const LINK_ROUNDS = 3;
const CONTENDERS = ['ours-request', 'stock', 'bare', 'bare-4'];

export interface MixedResult {
  readonly contender: string;
  /** Small calls alone, and with one large reply in a hundred. */
  readonly alone: Summary | undefined;
  readonly text: Summary | undefined;
  readonly buffer: Summary | undefined;
}

export interface MixedFindings {
  /** A closed loop on loopback: what the CPU for the large ones takes from the others. */
  readonly closed: readonly MixedResult[];
  /** An open loop on loopback. */
  readonly paced: readonly MixedResult[];
  /** The same over a throttled link, text only; or why there is none. */
  readonly link: { readonly shape: string; readonly results: readonly MixedResult[] } | { readonly refused: string };
}

type Form = 'alone' | 'text' | 'buffer';
type Plan = Pick<LoadQuestion, 'inFlight' | 'durationMs' | 'callsPerSecond'>;

/** Those of the contenders that are compared here. */
export function takingPart(contenders: readonly string[]): readonly string[] {
  return contenders.filter((contender) => CONTENDERS.includes(contender));
}

/** Small calls, of which one in a hundred is answered with 4 MiB: what that does to the others. */
export async function benchMixed(taking: readonly Pair[], options: BenchOptions): Promise<MixedFindings> {
  const { durationMs } = options;
  const rounds = options.boots * options.rounds;
  const inFlight = MIXED_IN_FLIGHT;
  const closed = await compare('closed loop', taking, ['alone', 'text', 'buffer'], rounds, {
    inFlight,
    durationMs: durationMs * CLOSED_FACTOR,
  });
  const paced = await compare('open loop', taking, ['alone', 'text', 'buffer'], Math.ceil(rounds / 2), {
    inFlight,
    callsPerSecond: PACED_RATE,
    durationMs: durationMs * PACED_FACTOR,
  });
  return { closed, paced, link: await benchLink(taking, options) };
}

/** Processes of their own, since a process cannot change its network; and few counted rounds, since they take long. */
async function benchLink(taking: readonly Pair[], { durationMs }: BenchOptions): Promise<MixedFindings['link']> {
  let link: Link;
  try {
    link = Link.open();
  } catch (error) {
    const refused = (error as Error).message;
    console.log(`mixed: no throttled link on this machine: ${refused}`);
    return { refused };
  }
  const pairs = taking.map(({ contender }) => new Pair(contender, { link }));
  try {
    for (const pair of pairs) await pair.start();
    const results = await compare(`link of ${link.shape}`, pairs, ['alone', 'text'], LINK_ROUNDS, {
      inFlight: MIXED_IN_FLIGHT,
      callsPerSecond: LINK_RATE,
      durationMs: durationMs * LINK_FACTOR,
    });
    return { shape: link.shape, results };
  } finally {
    await Promise.all(pairs.map((pair) => pair.stop()));
    link.close();
  }
}

async function compare(
  title: string,
  pairs: readonly Pair[],
  forms: readonly Form[],
  rounds: number,
  plan: Plan,
): Promise<readonly MixedResult[]> {
  const contests = forms.map((form) => {
    const tally = new Tally();
    const large = form === 'alone' ? undefined : form;
    return { form, tally, contest: new Contest(pairs, { payload: '150B', ...plan, large }, tally) };
  });
  for (const { contest } of contests) await contest.begin();
  // The forms in turns, so that what is compared is of the same minute.
  for (let round = 0; round <= rounds; round++) for (const { contest } of contests) await contest.round();
  const found = new Map(contests.map(({ form, tally }) => [form, tally.results()]));
  const results = pairs.map(({ contender }) => ({
    contender,
    alone: found.get('alone')?.get(contender),
    text: found.get('text')?.get(contender),
    buffer: found.get('buffer')?.get(contender),
  }));
  for (const { contender, ...summaries } of results) {
    const words = forms.map((form) => `${form} ${summaries[form]?.latency.p99.toFixed(1) ?? 'no'} ms`);
    console.log(`mixed, ${title}: ${contender} p99 ${words.join(', ')}`);
  }
  return results;
}
