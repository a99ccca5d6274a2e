import type { PooledTcpClient } from '../../../lib/index.js';
import type { Subscription } from 'rxjs';
import { quoteOf, SYMBOLS, type Quote } from '../market.js';

/** What one client has seen. */
export interface Sight {
  quotes: number;
  /** Prices that were not newer than the one before. */
  backwards: number;
  /** Prices that never came. */
  missed: number;
  /** Prices that are not those of the exchange. */
  wrong: number;
  /** Times that a subscription was opened. */
  opened: number;
}

/**
 * One client of the quotes, which checks every price it gets with its own memory: the numbers of a symbol must go
 * up by one, whichever server they come from.
 */
export class Watcher {
  readonly sight: Sight = { quotes: 0, backwards: 0, missed: 0, wrong: 0, opened: 0 };
  /** Address of the server of each symbol. */
  readonly servers = new Map<string, string>();
  readonly #client: PooledTcpClient;
  readonly #resumes: boolean;
  readonly #last = new Map<string, number>();
  readonly #subscriptions: Subscription[] = [];

  /** @param resumes whether it says where it was; without it, it shows what that is for */
  constructor(client: PooledTcpClient, resumes: boolean) {
    this.#client = client;
    this.#resumes = resumes;
  }

  /** @param failed called when a server refuses */
  start(failed: (error: unknown) => void, onQuote: (quote: Quote) => void = () => {}): void {
    for (const symbol of SYMBOLS) {
      const quotes = this.#client.pushes<Quote>(`quote:${symbol}`, {
        subscribe: {
          pattern: 'quotes.subscribe',
          data: (last) => ({ symbol, after: this.#resumes ? last?.seq : undefined }),
          end: { pattern: 'quotes.unsubscribe', data: symbol },
          opened: (_reply, server) => {
            this.sight.opened += 1;
            this.servers.set(symbol, server);
          },
        },
        // The next server may be behind the last: what it repeats is dropped.
        ...(this.#resumes ? { isNewer: (quote: Quote, last: Quote) => quote.seq > last.seq } : {}),
      });
      this.#subscriptions.push(
        quotes.subscribe({
          next: (quote) => {
            this.#check(quote);
            onQuote(quote);
          },
          error: failed,
        }),
      );
    }
  }

  stop(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #check({ symbol, seq, price }: Quote): void {
    const { sight } = this;
    const last = this.#last.get(symbol);
    sight.quotes += 1;
    if (price !== quoteOf(symbol, seq).price) sight.wrong += 1;
    if (last !== undefined && seq <= last) sight.backwards += 1;
    if (last !== undefined && seq > last + 1) sight.missed += seq - last - 1;
    this.#last.set(symbol, seq);
  }
}
