import { Logger, type LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { lastValueFrom } from 'rxjs';
import { nestJson, PooledTcpClient, PooledTcpServer, type PooledTcpServerOptions } from '../../../lib/index.js';
import { seededRandom } from '../../../lib/testing/random.js';
import { moduleOf } from '../app-module.js';
import { collectGarbage } from '../collect-garbage.js';
import { Mutator, framesOf, type FuzzInput } from '../fuzz/mutator.js';
import { Recorder, type Recording } from '../fuzz/recorder.js';
import { FuzzedController, sayEverything } from '../fuzz/service.js';

export interface FuzzTask {
  readonly target: 'server' | 'client';
  readonly seed: number;
  readonly durationMs: number;
}

export interface FuzzReport {
  readonly inputs: number;
  readonly bytes: number;
  /** Connections that carried inputs. */
  readonly connections: number;
  /** How sessions ended, or what calls came to, by code. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Inputs whose connection, or calls, did not end in time, the first in hexadecimal. */
  readonly hangs: readonly string[];
  /** Unhandled rejections and uncaught exceptions, with an input that was under way. */
  readonly crashes: readonly string[];
  readonly honest: { readonly answered: number; readonly wrong: readonly string[] };
  readonly peakRssMiB: number;
  readonly heapMiB: { readonly early: number; readonly late: number };
}

/** Inputs at once. */
const LANES = 32;
/** The answer to a client's first ping, without which it would be given no calls. */
const FIRST_PONG = Buffer.from([0, 0, 0, 6, 9, 0, 0, 0, 0, 1]);
/** Beyond every limit of the target below. */
const PATIENCE_MS = 6_000;
const SERVER: PooledTcpServerOptions = {
  heartbeat: { intervalMs: 500, timeoutMs: 500 },
  firstFrameTimeoutMs: 500,
  partialFrameTimeoutMs: 500,
  idleTimeoutMs: 1_500,
  drainTimeoutMs: 500,
  maxConnectionsPerHost: 0,
  maxFrameBytes: 1024 * 1024,
};

/**
 * Mutated sessions against a real server, or a real client, while other connections are used as they should be. A
 * process of its own, so that what goes unhandled is seen.
 */
process.on('disconnect', () => process.exit(0));
const underWay = new Set<Buffer>();
const crashes: string[] = [];
for (const event of ['unhandledRejection', 'uncaughtException'])
  process.on(event, (error: unknown) => {
    const inputs = [...underWay].map((input) => input.toString('hex')).join(' or ');
    crashes.push(`${event}: ${error instanceof Error ? error.stack : String(error)}; under way: ${inputs}`);
  });

/** A defect of ours that costs no more than a connection is in no outcome: the log tells. */
const look = (message: unknown): void => {
  if (String(message).includes('could not be handled')) crashes.push(String(message));
};
const logger: LoggerService = { log: look, warn: look, error: look, debug: look };
Logger.overrideLogger(logger);

const task = JSON.parse(process.argv[2] ?? '{}') as FuzzTask;
const outcomes: Record<string, number> = {};
const hangs: string[] = [];
let inputs = 0;
let bytes = 0;
let connections = 0;

function count(outcome: string): void {
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
}

async function serve(options: PooledTcpServerOptions = {}): Promise<{ port: number; close(): Promise<void> }> {
  const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0, ...options });
  const app = await NestFactory.createMicroservice(moduleOf([FuzzedController]), { strategy, logger });
  await app.listen();
  return { port: (strategy.unwrap().address() as AddressInfo).port, close: () => app.close() };
}

/** Real sessions of both wires, each to its end, goodbye of the server included. */
async function record(): Promise<Recording[]> {
  const recordings: Recording[] = [];
  for (const isNative of [true, false]) {
    const server = await serve({ heartbeat: { intervalMs: 30, timeoutMs: 1_000 }, drainTimeoutMs: 500 });
    const recorder = await Recorder.listen(server.port);
    const client = new PooledTcpClient({
      host: '127.0.0.1',
      port: recorder.port,
      ...(isNative ? {} : { protocol: nestJson() }),
      heartbeat: { intervalMs: 20, timeoutMs: 1_000 },
      pool: { min: 1, max: 2 },
    });
    await client.connect();
    await sayEverything(client, isNative);
    // For heartbeats, and pings of the server.
    await delay(100);
    await server.close();
    client.destroy();
    recordings.push(...(await recorder.close()));
  }
  return recordings;
}

/** One input on a connection of its own; the server has to end it, whether our end is sent or not. */
async function attackServer(port: number, { hello, chunks }: FuzzInput, random: () => number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: false });
  connections += 1;
  let answer = '';
  let lastDataAt = 0;
  socket.on('data', (chunk: Buffer) => {
    lastDataAt = performance.now();
    if (answer.length < 4_000) answer += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) =>
    socket.once('close', () => {
      resolve();
    }),
  );
  const isLate = random() < 0.1;
  if (isLate) socket.pause();
  for (const chunk of [hello, ...chunks]) {
    if (socket.destroyed) break;
    if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), closed, delay(200)]);
  }
  const way = random();
  if (way < 0.8) socket.end();
  else if (way < 0.85) socket.resetAndDestroy();
  if (isLate) {
    await delay(100);
    socket.resume();
  }
  const isClosed = await Promise.race([closed.then(() => true), delay(PATIENCE_MS, false)]);
  if (!isClosed) {
    // A stream without an end, which was asked for and is read, may go on. Looked at for a while, since this process
    // may have been late.
    const before = lastDataAt;
    await Promise.race([closed, delay(1_000)]);
    if (lastDataAt === before) throw new Error('the server did not end the connection');
  }
  socket.destroy();
  if (!isClosed) count('a stream that goes on');
  else count(/PTCP_\w+/.exec(answer)?.[0] ?? (answer === '' ? 'closed without a word' : 'answered'));
}

/** One input as the answers of a server; every call of a client has to end. */
async function attackClient({ hello, chunks }: FuzzInput, random: () => number): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    connections += 1;
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    const rest = [...chunks];
    const isNative = hello.includes('maxFrameBytes');
    socket.once('data', () => {
      socket.write(isNative ? Buffer.concat([hello, FIRST_PONG]) : hello);
      // The rest once there are calls that it can be about, or at once.
      if (random() < 0.2) writeRest();
      else setTimeout(writeRest, 15);
    });
    const writeRest = (): void => {
      for (const chunk of rest.splice(0)) socket.write(chunk);
      if (random() < 0.3) socket.end();
    };
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new PooledTcpClient({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    ...(random() < 0.3 ? { protocol: nestJson() } : {}),
    heartbeat: { intervalMs: 200, timeoutMs: 200 },
    requestTimeoutMs: 150,
    maxFrameBytes: 1024 * 1024,
    drainTimeoutMs: 100,
    pool: { min: 1, max: 2, connectTimeoutMs: 300, acquireTimeoutMs: 300, prewarm: 'background' },
    backoff: { initialMs: 20, maxMs: 100 },
  });
  const outcome = (call: Promise<unknown>): Promise<void> =>
    call.then(
      () => {
        count('answered');
      },
      (error: unknown) => {
        look(error);
        count((error as { code?: string }).code ?? `not ours: ${String(error)}`);
      },
    );
  const calls = [
    outcome(client.request('echo', 1)),
    outcome(client.request('echo', 'y'.repeat(200_000))),
    outcome(
      client.request(
        'collect',
        (async function* () {
          for (let i = 0; i < 20; i++) yield await Promise.resolve(i);
        })(),
      ),
    ),
    outcome(lastValueFrom(client.send('count', {}), { defaultValue: undefined })),
    outcome(lastValueFrom(client.emit('noted', 1), { defaultValue: undefined })),
  ];
  const isOver = await Promise.race([Promise.all(calls).then(() => true), delay(PATIENCE_MS, false)]);
  const isClosed = await Promise.race([client.close().then(() => true), delay(PATIENCE_MS, false)]);
  client.destroy();
  for (const socket of sockets) socket.destroy();
  server.close();
  if (!isOver || !isClosed) throw new Error(isOver ? 'close() did not end' : 'a call did not end');
}

/** Calls as they should be, on connections of their own, whose answers are compared. */
async function callHonestly(port: number, isOver: () => boolean, wrong: string[]): Promise<number> {
  const client = new PooledTcpClient({ host: '127.0.0.1', port, pool: { min: 2, max: 2 } });
  await client.connect();
  let answered = 0;
  const callers = Array.from({ length: 4 }, async (_, caller) => {
    for (let i = 0; !isOver(); i++) {
      const data = { caller, i, filling: 'z'.repeat(i % 100) };
      try {
        const answer = await client.request('echo', data);
        if (JSON.stringify(answer) === JSON.stringify(data)) answered += 1;
        else wrong.push(`asked ${JSON.stringify(data)}, got ${JSON.stringify(answer)}`);
      } catch (error) {
        wrong.push(String(error));
      }
      await delay(2);
    }
  });
  await Promise.all(callers);
  await client.close();
  return answered;
}

async function run({ target, seed, durationMs }: FuzzTask): Promise<FuzzReport> {
  const recordings = await record();
  const corpus = recordings.map(({ toServer, toClient }) => framesOf(target === 'server' ? toServer : toClient));
  const mutator = new Mutator(corpus);
  const server = await serve(SERVER);
  const endsAt = performance.now() + durationMs;
  const isOver = (): boolean => performance.now() >= endsAt;
  const wrong: string[] = [];
  let peakRss = 0;
  let early: number | undefined;
  const heapMiB = (): number => {
    collectGarbage();
    return process.memoryUsage().heapUsed / 2 ** 20;
  };
  const watching = (async () => {
    const beganAt = performance.now();
    while (!isOver()) {
      peakRss = Math.max(peakRss, process.memoryUsage.rss());
      if (performance.now() > beganAt + durationMs / 5) early ??= heapMiB();
      await delay(50);
    }
  })();
  const lane = async (): Promise<void> => {
    while (!isOver() && hangs.length === 0 && crashes.length === 0) {
      inputs += 1;
      const random = seededRandom(seed * 1_000_003 + inputs);
      const made = mutator.input(random);
      const input = Buffer.concat([made.hello, ...made.chunks]);
      bytes += input.length;
      underWay.add(input);
      try {
        await (target === 'server' ? attackServer(server.port, made, random) : attackClient(made, random));
      } catch (error) {
        hangs.push(`${String(error)}: ${input.toString('hex')}`);
      }
      underWay.delete(input);
    }
  };
  const lanes = Promise.all(Array.from({ length: LANES }, lane));
  const answered = await callHonestly(server.port, isOver, wrong);
  await lanes;
  await watching;
  await server.close();
  const late = heapMiB();
  return {
    inputs,
    bytes,
    connections,
    outcomes,
    hangs,
    crashes,
    honest: { answered, wrong: wrong.slice(0, 5) },
    peakRssMiB: peakRss / 2 ** 20,
    heapMiB: { early: early ?? NaN, late },
  };
}

process.send?.(await run(task));
