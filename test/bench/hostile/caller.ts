import { setTimeout as delay } from 'node:timers/promises';
import { PooledTcpClient } from '../../../lib/index.js';

export interface CallTimes {
  readonly calls: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
}

/** A call each so many milliseconds, whether the last has been answered or not: 200 a second. */
const PERIOD_MS = 5;

/** A client of good manners, connected before anybody attacks; its answers are compared. */
export class Caller {
  readonly #client: PooledTcpClient;

  private constructor(client: PooledTcpClient) {
    this.#client = client;
  }

  static async connect(port: number): Promise<Caller> {
    const client = new PooledTcpClient({ host: '127.0.0.1', port, pool: { min: 4, max: 4 } });
    await client.connect();
    return new Caller(client);
  }

  async measure(durationMs: number): Promise<CallTimes> {
    const times: number[] = [];
    let failed = 0;
    const calls: Promise<void>[] = [];
    const endsAt = performance.now() + durationMs;
    for (let i = 0; performance.now() < endsAt; i++) {
      calls.push(this.#call(i, times, () => (failed += 1)));
      await delay(PERIOD_MS);
    }
    await Promise.all(calls);
    times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
    return { calls: times.length, failed, p50: at(0.5), p99: at(0.99) };
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #call(i: number, times: number[], onFailure: () => void): Promise<void> {
    const beganAt = performance.now();
    try {
      const answer = await this.#client.request<number>('echo', i);
      times.push(performance.now() - beganAt);
      if (answer !== i) onFailure();
    } catch {
      onFailure();
    }
  }
}
