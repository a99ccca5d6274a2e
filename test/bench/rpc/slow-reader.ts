import { Peer } from './peer.js';
import type { ProcessSample } from './questions.js';

const CONTENDERS = ['ours-request', 'stock'];
const SAMPLE_MS = 100;
/** Flat when it has grown by less than this for so many samples. */
const FLAT_BYTES = 1024 * 1024;
const FLAT_SAMPLES = 20;
const LIMIT_MS = 10_000;

/**
 * - `frozen`: the process hangs, and its sockets with it: only the server's own bounds help
 * - `idle`: the process runs and takes no item from its stream: credit, where there is any, stops the server
 */
export type Reader = 'frozen' | 'idle';

export interface SlowReaderResult {
  readonly contender: string;
  readonly reader: Reader;
  /** Growth of the server, in bytes, at its highest: heap and buffers, and what the system counts. */
  readonly usedBytes: number;
  readonly rssBytes: number;
  /** Until it grew no further; undefined where it still grew at the end. */
  readonly flatAfterMs: number | undefined;
  /** Whether the server still had the connection at the end. */
  readonly isOpen: boolean;
}

/** A client that subscribes to an endless stream and then reads nothing: how much the server piles up for it. */
export async function benchSlowReader(wanted: readonly string[]): Promise<readonly SlowReaderResult[]> {
  const results: SlowReaderResult[] = [];
  for (const contender of CONTENDERS.filter((name) => wanted.includes(name))) {
    for (const reader of ['frozen', 'idle'] as const) {
      const result = await measureReader(contender, reader);
      if (result === undefined) continue;
      results.push(result);
      const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
      console.log(
        `slow reader: ${contender}, ${reader}: server grew by ${mib(result.usedBytes)} (RSS ${mib(result.rssBytes)}), ${
          result.flatAfterMs === undefined ? 'and still grew' : `flat after ${result.flatAfterMs.toFixed(0)} ms`
        }, ${result.isOpen ? 'connection open' : 'connection closed'}`,
      );
    }
  }
  return results;
}

/** Undefined where the client has no way to leave a stream unread. */
async function measureReader(contender: string, reader: Reader): Promise<SlowReaderResult | undefined> {
  const server = new Peer(contender);
  const client = new Peer(contender);
  try {
    const { port } = await server.ask('listen', {});
    await client.ask('connect', { port, connections: 1 });
    const before = await server.ask('sample', { collect: true });
    const { isStreaming } = await client.ask('stream', { reader });
    if (!isStreaming) return undefined;
    if (reader === 'frozen') client.freeze();
    const { peak, flatAfterMs } = await watch(server, before);
    const { count } = await server.ask('openConnections', {});
    return { contender, reader, ...peak, flatAfterMs, isOpen: count > 0 };
  } finally {
    await Promise.all([server.stop(), client.stop()]);
  }
}

async function watch(
  server: Peer,
  before: ProcessSample,
): Promise<{ peak: Pick<SlowReaderResult, 'usedBytes' | 'rssBytes'>; flatAfterMs: number | undefined }> {
  const peak = { usedBytes: 0, rssBytes: 0 };
  const startedAt = performance.now();
  let grewAt = startedAt;
  let highest = 0;
  for (;;) {
    const { usedBytes, rssBytes } = await server.ask('sample', {});
    const now = performance.now();
    peak.usedBytes = Math.max(peak.usedBytes, usedBytes - before.usedBytes);
    peak.rssBytes = Math.max(peak.rssBytes, rssBytes - before.rssBytes);
    if (peak.rssBytes > highest + FLAT_BYTES) {
      highest = peak.rssBytes;
      grewAt = now;
    }
    if (now - grewAt >= FLAT_SAMPLES * SAMPLE_MS) return { peak, flatAfterMs: grewAt - startedAt };
    if (now - startedAt >= LIMIT_MS) return { peak, flatAfterMs: undefined };
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
  }
}
