import { readFileSync } from 'node:fs';
import { Peer } from './peer.js';

const CONTENDERS = ['ours-request', 'ours-stock-wire', 'stock', 'bare'];
/** Descriptors that a process needs for itself. */
const SPARE_DESCRIPTORS = 200;

export interface MemoryResult {
  readonly contender: string;
  readonly connections: number;
  /** Bytes a connection, by the heap and by what the system counts. */
  readonly server: { readonly used: number; readonly rss: number };
  readonly client: { readonly used: number; readonly rss: number };
}

/** Idle connections on one server: what each of them costs both sides. */
export async function benchMemory(wanted: readonly string[], asked: number): Promise<readonly MemoryResult[]> {
  const connections = Math.min(asked, descriptorLimit() - SPARE_DESCRIPTORS);
  if (connections < asked) console.log(`memory: only ${connections} connections, as \`ulimit -n\` allows no more`);
  const results: MemoryResult[] = [];
  for (const contender of CONTENDERS.filter((name) => wanted.includes(name))) {
    const result = await measureIdle(contender, connections);
    results.push(result);
    console.log(
      `memory: ${contender}, ${connections} idle connections: server ${result.server.used.toFixed(0)} B each (RSS ${result.server.rss.toFixed(0)} B), client ${result.client.used.toFixed(0)} B (RSS ${result.client.rss.toFixed(0)} B)`,
    );
  }
  return results;
}

async function measureIdle(contender: string, connections: number): Promise<MemoryResult> {
  const server = new Peer(contender);
  const client = new Peer(contender);
  try {
    const { port } = await server.ask('listen', {});
    // The first connection loads and compiles what all others share.
    await client.ask('idle', { port, count: 10 });
    const before = await Promise.all([server, client].map((peer) => peer.ask('sample', { collect: true })));
    await client.ask('idle', { port, count: connections }, 180_000);
    const after = await Promise.all([server, client].map((peer) => peer.ask('sample', { collect: true })));
    const growth = (i: number): { used: number; rss: number } => ({
      used: ((after[i]?.usedBytes ?? NaN) - (before[i]?.usedBytes ?? NaN)) / connections,
      rss: ((after[i]?.rssBytes ?? NaN) - (before[i]?.rssBytes ?? NaN)) / connections,
    });
    return { contender, connections, server: growth(0), client: growth(1) };
  } finally {
    await Promise.all([server.stop(), client.stop()]);
  }
}

/** Soft limit of open files, which child processes inherit; Node raises its own to the hard one. */
function descriptorLimit(): number {
  try {
    const [, , hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return hard === undefined || hard === 'unlimited' ? Infinity : Number(hard);
  } catch {
    return Infinity;
  }
}
