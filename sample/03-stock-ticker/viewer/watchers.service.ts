import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Subject } from 'rxjs';
import { OnPush, PooledTcpClient } from '../../../lib/index.js';
import type { Quote } from '../market.js';
import type { ServerStatus } from '../quote-server/tape-options.js';
import { VIEWER_OPTIONS, type ViewerOptions } from './viewer-options.js';
import { Watcher, type Sight } from './watcher.js';

/** All that has been seen, and by how many. */
export interface Verdict extends Sight {
  readonly clients: number;
  readonly servers: Readonly<Record<string, number>>;
}

/** Many clients of the quotes, each with a pool of its own, as if each were a process. */
@Injectable()
export class WatchersService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  /** What the first client gets, for the page. */
  readonly quotes = new Subject<Quote>();
  readonly statuses = new Map<string, ServerStatus>();
  readonly #clients: readonly PooledTcpClient[];
  readonly #watchers: readonly Watcher[];
  #failure: unknown;

  constructor(@Inject(VIEWER_OPTIONS) { endpoints, clients, resumes }: ViewerOptions) {
    this.#clients = Array.from(
      { length: clients },
      (_, i) =>
        new PooledTcpClient({
          name: `client-${i}`,
          endpoints,
          pool: { min: 1, max: 1 },
          backoff: { initialMs: 50, maxMs: 500 },
        }),
    );
    this.#watchers = this.#clients.map((client) => new Watcher(client, resumes));
  }

  /** What every server says of itself, over the pool of this application. */
  @OnPush<ServerStatus>('status', { pool: 'quotes' })
  onStatus(status: ServerStatus): void {
    this.statuses.set(status.address, status);
  }

  async onApplicationBootstrap(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.connect()));
    for (const [i, watcher] of this.#watchers.entries()) {
      watcher.start(
        (error) => {
          this.#failure ??= error;
        },
        i === 0
          ? (quote) => {
              this.quotes.next(quote);
            }
          : undefined,
      );
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    for (const watcher of this.#watchers) watcher.stop();
    this.quotes.complete();
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** @throws what a server refused with */
  verdict(): Verdict {
    if (this.#failure !== undefined) throw this.#failure as Error;
    const servers: Record<string, number> = {};
    for (const watcher of this.#watchers)
      for (const server of watcher.servers.values()) servers[server] = (servers[server] ?? 0) + 1;
    const sum = (of: (sight: Sight) => number): number =>
      this.#watchers.reduce((total, { sight }) => total + of(sight), 0);
    return {
      clients: this.#watchers.length,
      quotes: sum(({ quotes }) => quotes),
      backwards: sum(({ backwards }) => backwards),
      missed: sum(({ missed }) => missed),
      wrong: sum(({ wrong }) => wrong),
      opened: sum(({ opened }) => opened),
      servers,
    };
  }

  /** Prices that the client which got fewest has got. */
  get fewest(): number {
    return Math.min(...this.#watchers.map(({ sight }) => sight.quotes));
  }
}
