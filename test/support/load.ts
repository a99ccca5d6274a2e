import type { PooledTcpClient, RequestOptions } from '../../lib/index.js';
import type { CallLedger } from './call-ledger.js';

/** As many callers as are concurrent, each with one call after the other, until they are told to stop. */
export class Load {
  #isOn = true;
  readonly #callers: Promise<void>[];

  constructor(
    ledger: CallLedger,
    client: PooledTcpClient,
    concurrent: number,
    options: { data?: object } & RequestOptions = {},
  ) {
    this.#callers = Array.from({ length: concurrent }, async () => {
      while (this.#isOn) await ledger.request(client, options);
    });
  }

  /** Resolves when every call has settled. */
  async stop(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#callers);
  }
}
