import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Caller, type CallTimes } from './caller.js';
import type { AttackFacts, ServerFacts, ToAttackers, ToServer } from './messages.js';

const QUIET_MS = 4_000;
const ATTACK_MS = 6_000;
const SETTLE_MS = 2_500;

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

/**
 * `npm run bench -- hostile`: how long honest calls take while thousands of connections do what they should not, and
 * in the quiet between. Server, attackers and caller are three processes.
 */
export async function benchHostile(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { connections: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '3' } },
  });
  const rows: string[] = [];
  for (const lifted of [false, true]) {
    const rounds = await measure(lifted, Number(values.connections), Number(values.rounds));
    rows.push(row(lifted ? 'lifted' : 'default', Number(values.connections), rounds));
  }
  console.log(
    [
      '| limits | hostile connections, tried and open | dials/s | messages/s | quiet p50, p99 ms | rise p99 ms | attack p50, p99 ms | p99, attack / quiet | calls, failed | server CPU | server RSS MiB |',
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
      ...rows,
    ].join('\n'),
  );
}

async function measure(lifted: boolean, connections: number, count: number): Promise<readonly Round[]> {
  const server = new Child<ToServer, ServerFacts>('server.js');
  const attackers = new Child<ToAttackers, AttackFacts>('attackers.js');
  prefer(process.pid, server.pid);
  try {
    const { port } = await server.ask({ kind: 'listen', lifted });
    const caller = await Caller.connect(port);
    await caller.measure(2_000);
    const rounds: Round[] = [];
    for (let i = 0; i < count; i++) {
      const quiet = await caller.measure(QUIET_MS);
      await attackers.ask({ kind: 'attack', port, connections });
      const rise = await caller.measure(ATTACK_MS);
      const before = [await server.ask({ kind: 'stats' }), await attackers.ask({ kind: 'stats' })] as const;
      const beganAt = performance.now();
      const attack = await caller.measure(ATTACK_MS);
      const tookMs = performance.now() - beganAt;
      const after = [await server.ask({ kind: 'stats' }), await attackers.ask({ kind: 'stats' })] as const;
      await attackers.ask({ kind: 'stop' });
      await delay(SETTLE_MS);
      rounds.push({
        quiet,
        rise,
        attack,
        open: after[1].open,
        server: after[0],
        cpuShare: (after[0].cpuMs - before[0].cpuMs) / tookMs,
        messagesPerSecond: ((after[1].messages - before[1].messages) / tookMs) * 1_000,
        dialsPerSecond: ((after[1].opened - before[1].opened) / tookMs) * 1_000,
      });
      console.log(`hostile, limits ${lifted ? 'lifted' : 'default'}, round ${i + 1}: ${JSON.stringify(rounds.at(-1))}`);
    }
    await caller.close();
    return rounds;
  } finally {
    server.end();
    attackers.end();
  }
}

/**
 * Attackers are elsewhere as a rule, and here they share the processors with those whom they attack. Server and caller
 * go first where that is allowed, so that the server is measured, and not the scheduler.
 */
function prefer(...pids: readonly (number | undefined)[]): void {
  for (const pid of pids) {
    if (pid === undefined) continue;
    try {
      setPriority(pid, -15);
    } catch {
      console.log('hostile: no right to set priorities, so the attackers take time from the server and the caller');
      return;
    }
  }
}

function row(limits: string, connections: number, rounds: readonly Round[]): string {
  const median = (of: (round: Round) => number): number =>
    rounds.map(of).sort((a, b) => a - b)[rounds.length >> 1] ?? NaN;
  const ms = (of: (round: Round) => number): string => median(of).toFixed(2);
  const calls = rounds.reduce((sum, { rise, attack }) => sum + rise.calls + attack.calls, 0);
  const failed = rounds.reduce((sum, { rise, attack }) => sum + rise.failed + attack.failed, 0);
  const cells = [
    limits,
    `${connections}, ${median(({ open }) => open)}`,
    median(({ dialsPerSecond }) => dialsPerSecond).toFixed(0),
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

  constructor(file: string) {
    this.#process = fork(fileURLToPath(new URL(`./${file}`, import.meta.url)));
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
