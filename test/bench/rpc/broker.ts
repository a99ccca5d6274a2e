import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { HOST } from './contenders/contender.js';
import { freePort } from './contenders/free-port.js';

/** A broker that a contender needs; `binary` is looked for on the path. */
interface BrokerKind {
  readonly binary: string;
  readonly ready: RegExp;
  /** Command line of a broker that keeps nothing on disk; `folder` is its own and goes with it. */
  arguments(port: number, folder: string): readonly string[];
}

const KINDS = {
  nats: {
    binary: 'nats-server',
    ready: /Server is ready/,
    arguments: (port, folder) => {
      // Messages above 1 MiB are refused by default, and this can only be changed in a file.
      const file = join(folder, 'nats.conf');
      writeFileSync(file, `host: "${HOST}"\nport: ${port}\nmax_payload: 8388608\n`);
      return ['-c', file];
    },
  },
  redis: {
    binary: 'redis-server',
    ready: /Ready to accept connections/i,
    arguments: (port, folder) => [
      '--bind',
      HOST,
      '--port',
      String(port),
      '--dir',
      folder,
      '--save',
      '',
      '--appendonly',
      'no',
    ],
  },
} satisfies Record<string, BrokerKind>;

export type BrokerName = keyof typeof KINDS;

const START_LIMIT_MS = 10_000;
/** Of /proc/PID/stat; Linux has said 100 for as long as anybody remembers. */
const TICKS_PER_SECOND = 100;

/** The path of a broker's program; undefined where this machine has none. */
export function brokerBinary(name: BrokerName): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, KINDS[name].binary)).find(isExecutable);
}

/** What a broker's program is called. */
export function brokerProgram(name: BrokerName): string {
  return KINDS[name].binary;
}

/** A running broker, on a port of its own, with nothing persisted. */
export class Broker {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #onExit = (): void => {
    this.#child.kill('SIGKILL');
  };

  private constructor(child: ChildProcess, port: number, folder: string) {
    this.#child = child;
    this.port = port;
    this.#folder = folder;
    process.once('exit', this.#onExit);
  }

  /** @throws Error when the program is missing, ends, or is not ready in time */
  static async start(name: BrokerName): Promise<Broker> {
    const path = brokerBinary(name);
    if (path === undefined) throw new Error(`there is no ${KINDS[name].binary} on this machine`);
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'bench-broker-'));
    const child = spawn(path, KINDS[name].arguments(port, folder), { stdio: ['ignore', 'pipe', 'pipe'] });
    const broker = new Broker(child, port, folder);
    try {
      await saysReady(child, KINDS[name]);
    } catch (error) {
      await broker.stop();
      throw error;
    }
    return broker;
  }

  /** CPU since its start, in microseconds; NaN where the system does not say. */
  cpuMicros(): number {
    try {
      // The name in brackets may hold anything; what follows it are fields 3 and on, 14 and 15 the ticks.
      const fields = readFileSync(`/proc/${this.#child.pid ?? 0}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
    } catch {
      return NaN;
    }
  }

  /** Ends the process and waits for that. */
  async stop(): Promise<void> {
    process.off('exit', this.#onExit);
    const { exitCode, signalCode, pid } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function saysReady(child: ChildProcess, { binary, ready }: BrokerKind): Promise<void> {
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    const fail = (what: string): void => {
      clearTimeout(timer);
      reject(new Error(`${binary} ${what}${said.length === 0 ? '' : `: ${said.slice(-3).join(' ')}`}`));
    };
    const timer = setTimeout(() => {
      fail(`was not ready within ${START_LIMIT_MS} ms`);
    }, START_LIMIT_MS);
    child.once('error', (error) => {
      fail(`does not start: ${error.message}`);
    });
    child.once('exit', (code) => {
      fail(`ended with exit code ${code ?? 'unknown'}`);
    });
    // Read to the end of its life, or its pipe fills and it waits.
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface(stream).on('line', (line) => {
        if (said.length < 100) said.push(line);
        if (!ready.test(line)) return;
        clearTimeout(timer);
        resolve();
      });
    }
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
