import { median, spread, table } from '../report.js';
import { contenders, type Contender } from './contenders.js';

/** `npm run bench -- pool`: the pool alone, beside its peers, interleaved in one run. */

const ROUNDS = 9;
const UNCONTENDED_CYCLES = 200_000;
const WAITERS = 1_000;
const CYCLES_PER_WAITER = 100;

let lastId = 0;
const create = (): Promise<{ id: number }> => Promise.resolve({ id: lastId++ });

/** Nanoseconds for one acquire and release by the only caller. */
async function uncontended(pool: Contender, cycles: number): Promise<number> {
  const startedAt = process.hrtime.bigint();
  for (let i = 0; i < cycles; i++) pool.release(await pool.acquire());
  return Number(process.hrtime.bigint() - startedAt) / cycles;
}

/** Nanoseconds for one acquire and release while a thousand callers want ten resources. */
async function contended(pool: Contender, waiters: number, cyclesEach: number): Promise<number> {
  const caller = async (): Promise<void> => {
    for (let i = 0; i < cyclesEach; i++) pool.release(await pool.acquire());
  };
  const startedAt = process.hrtime.bigint();
  await Promise.all(Array.from({ length: waiters }, caller));
  return Number(process.hrtime.bigint() - startedAt) / (waiters * cyclesEach);
}

/** 50 callers at once, 150 ms to connect, 2 ms a query (HikariCP's spike-demand test). */
async function spike(make: (typeof contenders)[string]): Promise<{ connections: number; slowestMs: number }> {
  const pool = make({
    min: 5,
    max: 50,
    create: () =>
      new Promise((resolve) =>
        setTimeout(() => {
          resolve({ id: lastId++ });
        }, 150),
      ),
  });
  const warm = await Promise.all(Array.from({ length: 5 }, () => pool.acquire()));
  for (const resource of warm) pool.release(resource);
  let slowestMs = 0;
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      const startedAt = performance.now();
      const resource = await pool.acquire();
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      await new Promise((resolve) => setTimeout(resolve, 2));
      pool.release(resource);
    }),
  );
  // What is still being dialled arrives, and counts.
  await new Promise((resolve) => setTimeout(resolve, 400));
  const connections = pool.size();
  await pool.close();
  return { connections, slowestMs };
}

/** Heap growth over many cycles, in bytes a million cycles. */
async function heapGrowth(cycles: number): Promise<number> {
  const pool = contenders['nestjs-pooled-tcp']?.({ min: 10, max: 10, create });
  if (pool === undefined) throw new Error('no contender');
  await uncontended(pool, 100_000);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  await uncontended(pool, cycles);
  globalThis.gc?.();
  const after = process.memoryUsage().heapUsed;
  await pool.close();
  return (after - before) / (cycles / 1_000_000);
}

export async function benchPool(): Promise<void> {
  const names = Object.keys(contenders);
  const times: Record<string, { alone: number[]; crowd: number[] }> = {};
  for (let round = -1; round < ROUNDS; round++) {
    for (const name of names) {
      const pool = contenders[name]?.({ min: 10, max: 10, create });
      if (pool === undefined) continue;
      await uncontended(pool, 1_000);
      const alone = await uncontended(pool, UNCONTENDED_CYCLES);
      const crowd = await contended(pool, WAITERS, CYCLES_PER_WAITER);
      await pool.close();
      if (round < 0) continue; // warm-up
      const mine = (times[name] ??= { alone: [], crowd: [] });
      mine.alone.push(alone);
      mine.crowd.push(crowd);
    }
  }
  const ours = times['nestjs-pooled-tcp'] ?? { alone: [], crowd: [] };
  console.log(`\nAcquire and release, ns (median of ${ROUNDS} interleaved rounds, min–max)\n`);
  console.log(
    table(
      ['pool', 'one caller', '', 'ours is', `${WAITERS} callers, 10 resources`, '', 'ours is'],
      names.map((name) => {
        const { alone, crowd } = times[name] ?? { alone: [], crowd: [] };
        return [
          name,
          median(alone).toFixed(0),
          spread(alone),
          `${(median(alone) / median(ours.alone)).toFixed(1)}×`,
          median(crowd).toFixed(0),
          spread(crowd),
          `${(median(crowd) / median(ours.crowd)).toFixed(1)}×`,
        ];
      }),
    ),
  );
  console.log('\nSpike: 50 callers at once, pool 5 to 50, 150 ms to connect, 2 ms a query\n');
  const spikes: string[][] = [];
  for (const name of names) {
    const make = contenders[name];
    if (make === undefined) continue;
    const { connections, slowestMs } = await spike(make);
    spikes.push([name, String(connections), slowestMs.toFixed(0)]);
  }
  console.log(table(['pool', 'connections at the end', 'slowest caller waited, ms'], spikes));
  if (globalThis.gc !== undefined) {
    console.log(`\nHeap growth over 10 million cycles: ${(await heapGrowth(10_000_000)).toFixed(0)} bytes a million`);
  }
}
