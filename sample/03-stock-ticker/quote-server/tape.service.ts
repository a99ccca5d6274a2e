import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { PooledTcpServer } from '../../../lib/index.js';
import { quoteOf, SYMBOLS } from '../market.js';
import { TAPE_OPTIONS, type ServerStatus, type TapeOptions } from './tape-options.js';

const STATUS_EVERY_MS = 250;

/** Pushes every price to the group of its symbol. */
@Injectable()
export class TapeService implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #server: PooledTcpServer;
  readonly #options: TapeOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  #current = 0;

  constructor(server: PooledTcpServer, @Inject(TAPE_OPTIONS) options: TapeOptions) {
    this.#server = server;
    this.#options = options;
    this.#current = this.#seqNow();
  }

  /** Number of the last prices that this server knows. */
  get current(): number {
    return this.#current;
  }

  get name(): string {
    return this.#options.name;
  }

  onApplicationBootstrap(): void {
    this.#timers.push(
      setInterval(() => {
        this.#tick();
      }, this.#options.tickMs),
      setInterval(() => {
        this.#sayStatus();
      }, STATUS_EVERY_MS),
    );
  }

  onModuleDestroy(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #tick(): void {
    for (const now = this.#seqNow(); this.#current < now;) {
      this.#current += 1;
      for (const symbol of SYMBOLS) {
        this.#server.sessions.tagged(symbol).push(`quote:${symbol}`, quoteOf(symbol, this.#current));
      }
    }
  }

  /** To everybody, and of no use when it is old: a client that does not read keeps the last one waiting. */
  #sayStatus(): void {
    const { connections, pushes, address = '' } = this.#server.stats();
    const status: ServerStatus = { name: this.name, address, connections, seq: this.#current, sent: pushes.sent };
    this.#server.sessions.push('status', status, { slowReader: 'latestOnly' });
  }

  /** A copy of the exchange is never quite up to date, and each in its own way. */
  #seqNow(): number {
    const { epoch, lagMs, tickMs } = this.#options;
    return Math.max(0, Math.floor((Date.now() - epoch - lagMs) / tickMs));
  }
}
