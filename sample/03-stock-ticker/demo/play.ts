import { setTimeout as delay } from 'node:timers/promises';
import type { Verdict, WatchersService } from '../viewer/watchers.service.js';
import type { DemoOptions } from './options.js';
import { QuoteProcess } from './quote-process.js';

/** Each copy of the exchange is behind it by another time. */
const LAGS_MS = [0, 60, 120];
/** Prices that every client must have got before and after a server is killed. */
const QUOTES_OF_EACH = 100;
const PATIENCE_MS = 30_000;
const PAUSE_MS = 8_000;

/** The servers of the demonstration, one of which is killed now and then. */
export class Play {
  readonly #options: DemoOptions;
  readonly #signal: AbortSignal;
  readonly #epoch = Date.now() - 60_000;
  #servers: QuoteProcess[] = [];

  constructor(options: DemoOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  get endpoints(): readonly string[] {
    return this.#servers.map(({ address }) => address);
  }

  async startServers(): Promise<void> {
    this.#servers = await Promise.all(LAGS_MS.map((_lag, i) => this.#start(i)));
    for (const { name, address, pid } of this.#servers) say(`${name} listens on ${address} (pid ${pid})`);
  }

  async stopServers(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }

  /** Kills the server that most subscriptions are at, and waits until every client has gone on. */
  async killOne(watchers: WatchersService): Promise<{ verdict: Verdict; restart: () => Promise<void> }> {
    await this.#progress(watchers, 0);
    const before = watchers.verdict();
    const victim = this.#servers.toSorted(
      (a, b) => (before.servers[b.address] ?? 0) - (before.servers[a.address] ?? 0),
    )[0];
    if (victim === undefined) throw new Error('there is no server');
    const moved = before.servers[victim.address] ?? 0;
    await victim.kill();
    say(`kill -9 ${victim.pid}: ${victim.name} is gone, and with it the source of ${moved} subscriptions`);
    await this.#until(() => (watchers.verdict().servers[victim.address] ?? 0) === 0, 'every subscription to move');
    await this.#progress(watchers, watchers.fewest);
    const verdict = watchers.verdict();
    say(`${verdict.opened - before.opened} subscriptions were opened again elsewhere`);
    return {
      verdict,
      restart: async () => {
        const i = this.#servers.indexOf(victim);
        this.#servers[i] = await this.#start(i, victim.port);
        say(`${victim.name} is back on its port`);
      },
    };
  }

  async pause(): Promise<void> {
    await delay(PAUSE_MS, undefined, { signal: this.#signal });
  }

  #start(i: number, port = 0): Promise<QuoteProcess> {
    const { tickMs } = this.#options;
    return QuoteProcess.start({ name: `server-${i + 1}`, epoch: this.#epoch, lagMs: LAGS_MS[i] ?? 0, tickMs }, port);
  }

  #progress(watchers: WatchersService, from: number): Promise<void> {
    return this.#until(() => watchers.fewest >= from + QUOTES_OF_EACH, `${QUOTES_OF_EACH} prices for every client`);
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (performance.now() > giveUpAt) throw new Error(`waited ${PATIENCE_MS / 1_000} s in vain for ${what}`);
      await delay(20, undefined, { signal: this.#signal });
    }
  }
}

export function say(text: string): void {
  console.log(`  ${text}`);
}

export function sayVerdict({ clients, quotes, backwards, missed, wrong }: Verdict): boolean {
  const isWell = backwards === 0 && missed === 0 && wrong === 0;
  const count = quotes.toLocaleString('en-US');
  say(
    `${isWell ? '✓' : '✗'} ${clients} clients checked ${count} prices: ${backwards} went backwards, ${missed} missed, ${wrong} wrong`,
  );
  return isWell;
}
