import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException, type TcpContext } from '@nestjs/microservices';
import { lastValueFrom, Observable, of, toArray } from 'rxjs';
import {
  nestJson,
  native,
  PooledTcpContext,
  PooledTcpError,
  type PooledTcpClient,
  type PooledTcpClientOptions,
  type PoolOptions,
} from '../../lib/index.js';
import { Scope } from '../support/nest-app.js';
import { ConnectionCount, until } from '../support/sockets.js';

const scope = new Scope();

/** The four ways to hold connections. */
const MODES = {
  long: { mode: 'shared', min: 1, max: 1 },
  shared: { mode: 'shared' },
  exclusive: { mode: 'exclusive' },
  short: { mode: 'short' },
} as const satisfies Record<string, PoolOptions>;

type ModeName = keyof typeof MODES;

/** Our server and protocol, and Nest's own. */
const WIRES = {
  native: { protocol: native(), start: (controller: new () => object) => scope.server([controller]) },
  'stock nestJson()': {
    protocol: nestJson(),
    start: (controller: new () => object) => scope.stockServer([controller]),
  },
} as const;

type WireName = keyof typeof WIRES;

/** What a server saw. */
interface Seen {
  /** Calls of `hold` that have come, and those of them that were given up as far as it was told. */
  held: number;
  givenUp: number;
  readonly visits: unknown[];
  /** Ends what `open` streams. */
  endStream: (() => void) | undefined;
  /** Most calls of `slow` at a time: on one connection, and in all. */
  mostOnOne: number;
  most: number;
}

function controllerOf(): { readonly controller: new () => object; readonly seen: Seen } {
  const seen: Seen = { held: 0, givenUp: 0, visits: [], endStream: undefined, mostOnOne: 0, most: 0 };
  const running = new Map<unknown, number>();

  @Controller()
  class ModesController {
    @MessagePattern('echo')
    echo(@Payload() data: unknown): unknown {
      return data;
    }

    @MessagePattern('refuse')
    refuse(): never {
      throw new RpcException('not today');
    }

    @MessagePattern('hold')
    hold(@Ctx() context: TcpContext): Promise<never> {
      seen.held += 1;
      if (context instanceof PooledTcpContext) {
        context.getSignal().addEventListener('abort', () => {
          seen.givenUp += 1;
        });
      }
      return new Promise(() => undefined);
    }

    @MessagePattern('count')
    count(): Observable<number> {
      return of(1, 2, 3);
    }

    @MessagePattern('open')
    open(): Observable<string> {
      return new Observable((subscriber) => {
        subscriber.next('first');
        seen.endStream = () => {
          subscriber.complete();
        };
      });
    }

    @MessagePattern('slow')
    async slow(@Payload() turns: number, @Ctx() context: TcpContext): Promise<number> {
      const socket: unknown = context.getSocketRef();
      const here = (running.get(socket) ?? 0) + 1;
      running.set(socket, here);
      seen.mostOnOne = Math.max(seen.mostOnOne, here);
      seen.most = Math.max(
        seen.most,
        [...running.values()].reduce((sum, calls) => sum + calls, 0),
      );
      let left = turns;
      await until(() => (left -= 1) < 0);
      running.set(socket, (running.get(socket) ?? 1) - 1);
      return turns;
    }

    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-arguments -- without it Nest 12 takes the context for unknown
    @EventPattern<string>('visited')
    visited(@Payload() data: unknown): void {
      seen.visits.push(data);
    }
  }
  return { controller: ModesController, seen };
}

interface Stage {
  readonly client: PooledTcpClient;
  readonly connections: ConnectionCount;
  readonly seen: Seen;
}

async function stageOf(mode: PoolOptions, wire: WireName, options: PooledTcpClientOptions = {}): Promise<Stage> {
  const { controller, seen } = controllerOf();
  const { protocol, start } = WIRES[wire];
  const { port, netServer } = await start(controller);
  const connections = new ConnectionCount(netServer);
  const backoff = { initialMs: 5, maxMs: 20 };
  const client = scope.client(port, { protocol, backoff, ...options, pool: mode });
  await client.connect();
  return { client, connections, seen };
}

/** One way in which a call can end. */
interface Outcome {
  readonly name: string;
  /** Makes the call, and returns what the caller got. */
  run(stage: Stage): Promise<unknown>;
  readonly expected: unknown;
  /** Whether a connection that is kept at all outlives it. */
  readonly keepsConnection: boolean;
  readonly failures: 0 | 1;
  /** An event is no request. */
  readonly requests: 0 | 1;
  /** Calls that the server is told to give up, where the protocol can say so. */
  readonly givenUp: 0 | 1;
}

const SUCCESS = { keepsConnection: true, failures: 0, requests: 1, givenUp: 0 } as const;
const FAILURE = { ...SUCCESS, failures: 1 } as const;

/** What a caller can tell by: not the message, which names ports and times. */
async function failureOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return { answered: await call };
  } catch (error) {
    if (!(error instanceof PooledTcpError)) return error;
    return { code: error.code, sent: error.sent };
  }
}

const OUTCOMES: readonly Outcome[] = [
  {
    ...SUCCESS,
    name: 'a value',
    run: ({ client }) => client.request('echo', { n: 1 }),
    expected: { n: 1 },
  },
  {
    ...SUCCESS,
    name: 'a stream',
    run: ({ client }) => lastValueFrom(client.send<number>('count', {}).pipe(toArray())),
    expected: [1, 2, 3],
  },
  {
    ...SUCCESS,
    name: 'an event',
    run: async ({ client, seen }) => {
      await lastValueFrom(client.emit('visited', 'me'), { defaultValue: undefined });
      await until(() => seen.visits.length > 0);
      return seen.visits;
    },
    expected: ['me'],
    requests: 0,
  },
  {
    ...FAILURE,
    name: 'the error of a handler',
    run: ({ client }) => failureOf(client.request('refuse', {})),
    expected: { code: 'PTCP_HANDLER_FAILED', sent: true },
  },
  {
    ...FAILURE,
    name: 'a timeout',
    run: ({ client }) => failureOf(client.request('hold', {}, { timeoutMs: 300 })),
    expected: { code: 'PTCP_REQUEST_TIMEOUT', sent: true },
    givenUp: 1,
  },
  {
    ...FAILURE,
    name: 'an abort by the caller',
    run: async ({ client, seen }) => {
      const abort = new AbortController();
      const failure = failureOf(client.request('hold', {}, { signal: abort.signal }));
      await until(() => seen.held === 1);
      abort.abort();
      return failure;
    },
    expected: { code: 'PTCP_ABORTED', sent: true },
    givenUp: 1,
  },
  {
    ...FAILURE,
    name: 'the loss of the connection',
    run: async ({ client, seen, connections }) => {
      const failure = failureOf(client.request('hold', {}));
      await until(() => seen.held === 1);
      for (const socket of connections.sockets) socket.resetAndDestroy();
      return failure;
    },
    expected: { code: 'PTCP_CONNECTION_LOST', sent: true },
    keepsConnection: false,
    givenUp: 1,
  },
];

const TABLE = Object.keys(WIRES).flatMap((wire) =>
  Object.keys(MODES).flatMap((mode) =>
    OUTCOMES.map((outcome) => ({ wire: wire as WireName, mode: mode as ModeName, outcome, name: outcome.name })),
  ),
);

describe('every mode, on either wire', () => {
  it.each(TABLE)('$wire, $mode: $name', async ({ wire, mode, outcome }) => {
    const stage = await stageOf(MODES[mode], wire);
    const { client, connections, seen } = stage;
    const isShort = mode === 'short';
    const kept = isShort ? 0 : mode === 'long' ? 1 : 2;
    await until(() => connections.open === kept);
    expect(client.stats()).toMatchObject({ total: kept, created: kept });

    await expect(outcome.run(stage)).resolves.toEqual(outcome.expected);

    // Nothing is held, whatever became of the call.
    const lost = outcome.keepsConnection ? 0 : Math.max(kept, 1);
    await until(() => client.stats().closed.lost === lost);
    expect(client.stats()).toMatchObject({
      inFlight: 0,
      waiting: 0,
      active: 0,
      requests: outcome.requests,
      failures: outcome.failures,
      retries: 0,
      closed: { lost, surplus: isShort ? 1 - lost : 0 },
    });
    if (wire === 'native') await until(() => seen.givenUp === outcome.givenUp);

    // And the next call is served: by the same connections, or by fresh ones.
    await expect(client.request('echo', 'next')).resolves.toBe('next');
    const fresh = outcome.keepsConnection ? 0 : kept;
    const created = isShort ? 2 : kept + fresh;
    await until(() => connections.open === kept && client.stats().total === kept && client.stats().created === created);
    expect(connections.total).toBe(created);
    expect(client.stats().endpoints).toMatchObject([{ state: 'ready', total: kept }]);
  });
});

describe.each(Object.keys(WIRES) as WireName[])('mode exclusive on the wire %s', (wire) => {
  it('has one call at a time on each connection, and no more connections than max', async () => {
    const { client, connections, seen } = await stageOf({ mode: 'exclusive', max: 3 }, wire);
    const turns = [9, 1, 5, 3, 7, 2, 8, 4, 6, 0];
    await expect(Promise.all(turns.map((count) => client.request('slow', count)))).resolves.toEqual(turns);
    expect(seen).toMatchObject({ mostOnOne: 1, most: 3 });
    expect(connections.most).toBe(3);
    expect(client.stats()).toMatchObject({ acquired: 10, inFlight: 0, waiting: 0 });
  });

  it('answers in the order of asking where there is one connection', async () => {
    const { client } = await stageOf({ mode: 'exclusive', min: 1, max: 1 }, wire);
    const order: number[] = [];
    const calls = [9, 1, 5, 0].map(async (turns) => {
      order.push(await client.request<number>('slow', turns));
    });
    await Promise.all(calls);
    expect(order).toEqual([9, 1, 5, 0]);
  });

  it('keeps a connection for a stream until the stream ends', async () => {
    const { client, seen } = await stageOf({ mode: 'exclusive', min: 1, max: 1 }, wire);
    const heard: string[] = [];
    const stream = new Promise<void>((resolve) => {
      client.send<string>('open', {}).subscribe({
        next: (item) => heard.push(item),
        complete: () => {
          heard.push('the end');
          resolve();
        },
      });
    });
    await until(() => heard.length > 0);
    const call = client.request<string>('echo', 'after').then((answer) => heard.push(answer));
    await until(() => client.stats().waiting === 1);
    expect(client.stats()).toMatchObject({ inFlight: 1, active: 1 });
    seen.endStream?.();
    await Promise.all([stream, call]);
    expect(heard).toEqual(['first', 'the end', 'after']);
  });

  it('has calls wait for a lease, and refuses those beyond maxWaiters', async () => {
    const { client } = await stageOf({ mode: 'exclusive', min: 1, max: 1, maxWaiters: 1 }, wire);
    const lease = await client.acquire();
    await expect(lease.request('echo', 1)).resolves.toBe(1);
    const waiting = client.request('echo', 2);
    await expect(client.request('echo', 3)).rejects.toMatchObject({ code: 'PTCP_POOL_EXHAUSTED', sent: false });
    lease.release();
    await expect(waiting).resolves.toBe(2);
  });
});

describe.each(Object.keys(WIRES) as WireName[])('mode short on the wire %s', (wire) => {
  it('has no more calls, and connects, at a time than max', async () => {
    const { client, connections, seen } = await stageOf({ mode: 'short', max: 3 }, wire);
    const turns = [9, 1, 5, 3, 7, 2, 8, 4, 6, 0];
    await expect(Promise.all(turns.map((count) => client.request('slow', count)))).resolves.toEqual(turns);
    expect(seen.mostOnOne).toBe(1);
    await until(() => connections.open === 0);
    expect(connections.total).toBe(10);
    // The server learns of an end a little later than the client, which may have opened the next by then.
    expect(seen.most).toBe(3);
    expect(client.stats()).toMatchObject({ total: 0, created: 10, closed: { surplus: 10 } });
  });

  it('counts its connects, and the ports that they leave in TIME_WAIT', async () => {
    const { client } = await stageOf({ mode: 'short' }, wire);
    for (let i = 0; i < 5; i++) await client.request('echo', i);
    const { connectsPerSecond, timeWait, endpoints } = client.stats();
    expect(connectsPerSecond).toBe(5);
    // Those that this client closed, unless the system has fewer in all.
    expect(timeWait).toBeGreaterThanOrEqual(0);
    expect(timeWait).toBeLessThanOrEqual(5);
    expect(endpoints).toMatchObject([{ connectsPerSecond, timeWait }]);
  });

  it('lends one connection for as many calls as are made on it, and closes it then', async () => {
    const { client, connections } = await stageOf({ mode: 'short' }, wire);
    await client.withLease(async (lease) => {
      for (let i = 0; i < 3; i++) await expect(lease.request('echo', i)).resolves.toBe(i);
    });
    await until(() => connections.open === 0);
    expect(connections.total).toBe(1);
    expect(client.stats()).toMatchObject({ total: 0, created: 1, requests: 3 });
  });

  it('opens nothing to prewarm, and none that nobody needs any more', async () => {
    const { client, connections } = await stageOf({ mode: 'short' }, wire);
    expect(connections.total).toBe(0);
    const abort = new AbortController();
    const call = client.request('echo', 1, { signal: abort.signal });
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'PTCP_ABORTED', sent: false });
    await client.close();
    await until(() => connections.open === 0);
    expect(client.stats()).toMatchObject({ total: 0, inFlight: 0, requests: 1, failures: 1 });
  });
});
