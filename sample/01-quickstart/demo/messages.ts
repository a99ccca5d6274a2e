import type { ClientStats, PooledTcpStatus } from '../../../lib/index.js';

/** What a service tells the launcher. */
export type FromService =
  | { readonly type: 'ready'; readonly address: string }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'pool'; readonly name: string; readonly status: PooledTcpStatus }
  | { readonly type: 'examples'; readonly examples: readonly Example[] }
  | { readonly type: 'progress'; readonly done: number }
  | { readonly type: 'burst'; readonly report: BurstReport };

/** What the launcher asks of the gateway. */
export type ToGateway =
  { readonly type: 'examples' } | { readonly type: 'burst'; readonly calls: number; readonly concurrency: number };

/** One call, as a user writes it, and what came back. */
export interface Example {
  readonly handler: string;
  readonly call: string;
  readonly outcome: string;
}

export interface BurstReport {
  readonly calls: number;
  readonly failed: number;
  /** The first failure, where there was one. */
  readonly error: string | undefined;
  readonly elapsedMs: number;
  readonly latency: Latency;
  readonly pool: { readonly before: ClientStats; readonly halfway: ClientStats; readonly after: ClientStats };
}

/** In milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}
