/** A child process of the benchmark: the server or the load generator of one contender, as it is asked. */
import { Session } from 'node:inspector/promises';
import { writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { loadContender } from './contenders/all.js';
import type { BenchClient, BenchServer, Call } from './contenders/contender.js';
import { describe, runLoad } from './load.js';
import { runPaced } from './paced.js';
import { payloadCase, type Payload } from './payloads.js';
import type { Kind, Questions } from './questions.js';
import { takeSample } from './sample.js';

type Answers = { [K in Kind]: (asked: Questions[K]['asked']) => Promise<Questions[K]['answer']> };

const contender = await loadContender(process.argv[2] ?? '');
const profiler = new Session();
let client: BenchClient | undefined;
let server: BenchServer | undefined;

function connected(): BenchClient {
  if (client === undefined) throw new Error('not connected');
  return client;
}

const answers: Answers = {
  listen: async (asked) => {
    server = await contender.listen(asked);
    return { port: server.port };
  },
  listenTls: async () => (await import('./contenders/ours-tls.js')).listenTls(),
  connect: async (asked) => {
    await client?.close();
    client = await contender.connect(asked);
    return {};
  },
  verify: async ({ payload }) => {
    const made = payloadCase(payload).make();
    const reply = await once(connected().echo(made));
    return isSame(made, reply) ? {} : { problem: 'the reply is not what was sent' };
  },
  load: ({ payload, large, callsPerSecond, ...plan }) => {
    const using = connected();
    if (large !== undefined && using.large === undefined) throw new Error('has no large replies');
    const rare = large === undefined ? undefined : using.large?.(large);
    const loop = { ...plan, call: using.echo(payloadCase(payload).make()), rare };
    return callsPerSecond === undefined
      ? runLoad(loop, () => using.connections())
      : runPaced({ ...loop, callsPerSecond }, () => using.connections());
  },
  flood: async ({ calls, limitMs }) => {
    const value = { orders: [], note: 'x'.repeat(16 * 1024) };
    const call = connected().echo({ form: 'orders', value });
    const startedAt = performance.now();
    let answered = 0;
    const all = Promise.all(
      Array.from({ length: calls }, async () => {
        await once(call);
        answered += 1;
      }),
    );
    const limit = new Promise((resolve) => setTimeout(resolve, limitMs).unref());
    await Promise.race([all, limit]);
    return { answered, ms: performance.now() - startedAt };
  },
  idle: async ({ port, count }) => {
    if (contender.connectIdle === undefined) throw new Error('has no idle connections');
    await contender.connectIdle(port, count);
    return {};
  },
  stream: async ({ reader }) => {
    const first = connected().stream?.(reader === 'idle');
    await first;
    return { isStreaming: first !== undefined };
  },
  openConnections: async () => {
    if (server?.connections === undefined) throw new Error('does not count its connections');
    return { count: await server.connections() };
  },
  cold: async (asked) => (await import('./cold-client.js')).runCold(asked),
  sample: ({ collect }) => {
    if (collect === true) globalThis.gc?.();
    return Promise.resolve(takeSample());
  },
  profileStart: async () => {
    profiler.connect();
    await profiler.post('Profiler.enable');
    await profiler.post('Profiler.start');
    return {};
  },
  profileStop: async ({ file }) => {
    const { profile } = await profiler.post('Profiler.stop');
    profiler.disconnect();
    writeFileSync(file, JSON.stringify(profile));
    return {};
  },
};

function once(call: Call): Promise<unknown> {
  return new Promise((resolve, reject) => {
    call((error, reply) => {
      if (error === undefined) resolve(reply);
      else reject(error instanceof Error ? error : new Error(describe(error)));
    });
  });
}

/** Compares what both are as JSON: gRPC has classes of its own, and the stock transport has no Buffers. */
function isSame({ form, value }: Payload, reply: unknown): boolean {
  const bytes = form === 'bytes' && isRecord(reply) && 'bytes' in reply ? reply['bytes'] : reply;
  return isDeepStrictEqual(JSON.parse(JSON.stringify(bytes)), JSON.parse(JSON.stringify(value)));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

process.on('message', ({ id, kind, asked }: { id: number; kind: Kind; asked: never }) => {
  void (async () => {
    try {
      process.send?.({ id, answer: await answers[kind](asked) });
    } catch (error) {
      process.send?.({ id, problem: describe(error) });
    }
  })();
});
process.on('disconnect', () => process.exit());
