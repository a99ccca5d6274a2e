import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { connectCaller, measure, type CallTimes } from './caller.js';
import {
  TARGETS,
  type AttackFacts,
  type ServerFacts,
  type Target,
  type ToAttackers,
  type ToServer,
} from './messages.js';

const QUIET_MS = 5_000;
const RISE_MS = 6_000;
const ATTACK_MS = 8_000;
const WARM_MS = 2_000;

interface Round {
  readonly quiet: CallTimes;
  /** While the connections are opened. */
  readonly rise: CallTimes;
  readonly attack: CallTimes;
  readonly open: number;
  readonly server: ServerFacts;
  readonly cpuShare: number;
  readonly messagesPerSecond: number;
  readonly dialsPerSecond: number;
}

interface Attack {
  readonly target: Target;
  readonly connections: number;
  readonly dialsPerSecond: number;
}

/**
 * `npm run bench -- hostile`: how long honest calls take while thousands of connections do what they should not, and
 * in the quiet between. Server, attackers and caller are three processes; the targets take turns.
 */
export async function benchHostile(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      connections: { type: 'string', default: '10000' },
      dials: { type: 'string', default: '4000,1000' },
      rounds: { type: 'string', default: '3' },
      target: { type: 'string', multiple: true, default: [...TARGETS] },
    },
  });
  const connections = Number(values.connections);
  const rows: string[] = [];
  for (const dials of values.dials.split(',')) {
    const attacks = values.target.map((target) => ({
      target: targetOf(target),
      connections,
      dialsPerSecond: Number(dials),
    }));
    const rounds = new Map<Attack, Round[]>(attacks.map((attack) => [attack, []]));
    for (let i = 0; i < Number(values.rounds); i++) {
      for (const [attack, of] of rounds) {
        const round = await measureRound(attack);
        of.push(round);
        console.log(`${attack.target}, ${dials} dials/s, round ${i + 1}: ${JSON.stringify(round)}`);
      }
    }
    for (const [attack, of] of rounds) rows.push(row(attack, of));
  }
  console.log(
    [
      '| server | hostile connections, tried and open | dials/s, at most and done | messages/s | quiet p50, p99 ms | rise p99 ms | attack p50, p99 ms | p99, attack / quiet | calls, failed | server CPU | server RSS MiB |',
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
      ...rows,
    ].join('\n'),
  );
}

function targetOf(name: string): Target {
  const target = TARGETS.find((one) => one === name);
  if (target === undefined) throw new Error(`no target is called ${name}; there are ${TARGETS.join(', ')}`);
  return target;
}

async function measureRound({ target, connections, dialsPerSecond }: Attack): Promise<Round> {
  const server = new Child<ToServer, ServerFacts>('server.js');
  const attackers = new Child<ToAttackers, AttackFacts>('attackers.js', { nice: 19 });
  try {
    const { port } = await server.ask({ kind: 'listen', target });
    const caller = await connectCaller(port, target);
    await measure(caller, WARM_MS);
    const quiet = await measure(caller, QUIET_MS);
    await attackers.ask({ kind: 'attack', port, connections, dialsPerSecond });
    const rise = await measure(caller, RISE_MS);
    const before = [await server.ask({ kind: 'stats' }), await attackers.ask({ kind: 'stats' })] as const;
    const beganAt = performance.now();
    const attack = await measure(caller, ATTACK_MS);
    const tookMs = performance.now() - beganAt;
    const after = [await server.ask({ kind: 'stats' }), await attackers.ask({ kind: 'stats' })] as const;
    await caller.close();
    return {
      quiet,
      rise,
      attack,
      open: after[1].open,
      server: after[0],
      cpuShare: (after[0].cpuMs - before[0].cpuMs) / tookMs,
      messagesPerSecond: ((after[1].messages - before[1].messages) / tookMs) * 1_000,
      dialsPerSecond: ((after[1].opened - before[1].opened) / tookMs) * 1_000,
    };
  } finally {
    server.end();
    attackers.end();
  }
}

function row({ target, connections, dialsPerSecond: most }: Attack, rounds: readonly Round[]): string {
  const median = (of: (round: Round) => number): number =>
    rounds.map(of).sort((a, b) => a - b)[rounds.length >> 1] ?? NaN;
  const ms = (of: (round: Round) => number): string => median(of).toFixed(2);
  const calls = rounds.reduce((sum, { rise, attack }) => sum + rise.calls + attack.calls, 0);
  const failed = rounds.reduce((sum, { rise, attack }) => sum + rise.failed + attack.failed, 0);
  const cells = [
    target,
    `${connections}, ${median(({ open }) => open)}`,
    `${most}, ${median(({ dialsPerSecond }) => dialsPerSecond).toFixed(0)}`,
    median(({ messagesPerSecond }) => messagesPerSecond).toFixed(0),
    `${ms(({ quiet }) => quiet.p50)}, ${ms(({ quiet }) => quiet.p99)}`,
    ms(({ rise }) => rise.p99),
    `${ms(({ attack }) => attack.p50)}, ${ms(({ attack }) => attack.p99)}`,
    `${median(({ quiet, attack }) => attack.p99 / quiet.p99).toFixed(2)}×`,
    `${calls}, ${failed}`,
    `${(median(({ cpuShare }) => cpuShare) * 100).toFixed(0)} %`,
    median(({ server }) => server.rssMiB).toFixed(0),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** A process that answers each message with one. */
class Child<M extends object, A> {
  readonly #process: ChildProcess;
  readonly #died: Promise<never>;

  /**
   * @param nice attackers are elsewhere as a rule, and here they share the processors with those whom they attack: as
   * the last whom the scheduler serves, they take what is left, and the server is measured, not the scheduler
   */
  constructor(file: string, { nice }: { readonly nice?: number } = {}) {
    const path = fileURLToPath(new URL(`./${file}`, import.meta.url));
    this.#process =
      nice === undefined
        ? fork(path)
        : fork(path, { execPath: 'nice', execArgv: ['-n', String(nice), process.execPath] });
    this.#died = once(this.#process, 'exit').then(() => {
      throw new Error(`the process of ${file} has ended`);
    });
    this.#died.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  async ask(message: M): Promise<A> {
    const answer = new Promise<A>((resolve) => this.#process.once('message', resolve));
    this.#process.send(message);
    return await Promise.race([answer, this.#died]);
  }

  end(): void {
    this.#process.disconnect();
  }
}
