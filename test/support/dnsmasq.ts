import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { until } from './sockets.js';

const execute = promisify(execFile);

/** The port of every name server here: each has an address of its own. */
const PORT = 5353;

/** dnsmasq, a real name server, whose A records change while it runs: it reads them again on SIGHUP. */
export class Dnsmasq {
  /** As `dns.setServers()` takes it. */
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #log: string[] = [];

  private constructor(child: ChildProcess, folder: string, host: string) {
    this.#child = child;
    this.#folder = folder;
    this.address = `${host}:${PORT}`;
    if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', (line) => this.#log.push(line));
  }

  /** Why this machine cannot run it, in words for whoever reads the test's output; undefined when it can. */
  static async refusal(): Promise<string | undefined> {
    if (process.platform !== 'linux') return `all of 127.0.0.0/8 is this host's on Linux only`;
    try {
      await execute('dnsmasq', ['--version']);
      return undefined;
    } catch (error) {
      return `dnsmasq does not run here: ${(error as Error).message.trim()}`;
    }
  }

  static async start(): Promise<Dnsmasq> {
    const folder = await mkdtemp(join(tmpdir(), 'dnsmasq-'));
    const host = `127.53.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`;
    await writeFile(hostsOf(folder), '');
    const child = spawn(
      'dnsmasq',
      [
        '--keep-in-foreground',
        '--log-facility=-',
        '--conf-file=/dev/null',
        '--no-resolv',
        '--no-hosts',
        `--addn-hosts=${hostsOf(folder)}`,
        `--listen-address=${host}`,
        `--port=${PORT}`,
        '--bind-interfaces',
        '--pid-file=',
        '--local-ttl=0',
        // It gives up root otherwise, and with that the right to read the folder.
        ...(process.getuid?.() === 0 ? ['--user=root'] : []),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const server = new Dnsmasq(child, folder, host);
    await server.#hasRead(1);
    return server;
  }

  /** Gives names their addresses; names that are left out are gone. Resolves when it answers so. */
  async set(names: Readonly<Record<string, readonly string[]>>): Promise<void> {
    const lines = Object.entries(names).flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}\n`),
    );
    await writeFile(hostsOf(this.#folder), lines.join(''));
    const before = this.#readings;
    this.#child.kill('SIGHUP');
    await this.#hasRead(before + 1);
  }

  async close(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill();
    await closed;
    await rm(this.#folder, { recursive: true });
  }

  /** How often it has read its records. */
  get #readings(): number {
    return this.#log.filter((line) => line.includes(`read ${hostsOf(this.#folder)}`)).length;
  }

  /** Resolves when it has read its records so many times. */
  async #hasRead(times: number): Promise<void> {
    await until(() => this.#readings >= times || this.#child.exitCode !== null);
    if (this.#readings < times) throw new Error(`dnsmasq ended:\n${this.#log.join('\n')}`);
  }
}

function hostsOf(folder: string): string {
  return join(folder, 'hosts');
}
