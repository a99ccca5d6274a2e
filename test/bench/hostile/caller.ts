import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PooledTcpClient } from '../../../lib/index.js';
import { BareWriter, readFrames } from '../rpc/contenders/bare-frames.js';
import type { Target } from './messages.js';

export interface CallTimes {
  readonly calls: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
}

/** A call each so many milliseconds, whether the last has been answered or not. */
const PERIOD_MS = 4;

/** A client of good manners, connected before anybody attacks; its answers are compared. */
export interface Caller {
  call(data: number): Promise<number>;
  close(): Promise<void>;
}

export async function connectCaller(port: number, target: Target): Promise<Caller> {
  if (target === 'bare net') return bareCaller(port);
  const client = new PooledTcpClient({ host: '127.0.0.1', port, pool: { min: 4, max: 4 } });
  await client.connect();
  return {
    call: (data) => client.request<number>('echo', data),
    close: () => client.close(),
  };
}

/** One connection; answers come in order. */
function bareCaller(port: number): Caller {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const writer = new BareWriter(socket);
  const waiting: ((data: number) => void)[] = [];
  readFrames(socket, (data) => waiting.shift()?.(data as number));
  return {
    call: (data) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        writer.write(data);
      }),
    close: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
}

/** An open loop: each call is measured from when it began. */
export async function measure(caller: Caller, durationMs: number): Promise<CallTimes> {
  const times: number[] = [];
  let failed = 0;
  const one = async (data: number): Promise<void> => {
    const beganAt = performance.now();
    try {
      const answer = await caller.call(data);
      times.push(performance.now() - beganAt);
      if (answer !== data) failed += 1;
    } catch {
      failed += 1;
    }
  };
  const calls: Promise<void>[] = [];
  const endsAt = performance.now() + durationMs;
  for (let i = 0; performance.now() < endsAt; i++) {
    calls.push(one(i));
    await delay(PERIOD_MS);
  }
  await Promise.all(calls);
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  return { calls: times.length, failed, p50: at(0.5), p99: at(0.99) };
}
