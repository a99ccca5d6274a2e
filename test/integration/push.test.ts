import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Module, Scope as InjectionScope, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Subject, firstValueFrom, lastValueFrom, take, toArray } from 'rxjs';
import {
  OnPush,
  PooledTcpContext,
  PooledTcpModule,
  delimiter,
  type DecodedMessage,
  type Framing,
  type MessageCodec,
  type PooledTcpClientOptions,
  type PooledTcpSession,
} from '../../lib/index.js';
import { FaultProxy } from '../../lib/testing/index.js';
import { RecordingLogger } from '../support/logs.js';
import { Scope, type RunningPooledServer } from '../support/nest-app.js';
import { RawPeer, until } from '../support/sockets.js';

interface Tick {
  readonly seq: number;
}

const sessions = new Subject<PooledTcpSession>();
let ended: unknown[] = [];
let subscribed: unknown[] = [];
let order: string[] = [];

@Controller()
class PushController {
  @MessagePattern('join')
  join(@Payload() rooms: string[], @Ctx() context: PooledTcpContext): string[] {
    const session = context.getSession();
    session.tag(...rooms);
    sessions.next(session);
    return [...session.tags];
  }

  @MessagePattern('leave')
  leave(@Payload() rooms: string[], @Ctx() context: PooledTcpContext): string[] {
    const session = context.getSession();
    session.untag(...rooms);
    return [...session.tags];
  }

  /** Sends again what comes after a position, then whatever comes. */
  @MessagePattern('ticks')
  ticks(@Payload() data: { after?: number }, @Ctx() context: PooledTcpContext): string {
    subscribed.push(data);
    const session = context.getSession();
    session.tag('ticks');
    return 'subscribed';
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-arguments -- without it Nest 12 takes the context for unknown
  @EventPattern<string>('ticks.end')
  end(@Payload() data: unknown, @Ctx() context: PooledTcpContext): void {
    context.getSession().untag('ticks');
    ended.push(data);
  }

  @MessagePattern('step')
  async step(@Payload() name: string, @Ctx() context: PooledTcpContext): Promise<number> {
    const { data } = context.getSession();
    order.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(`${name} ends`);
    const steps = Number(data.get('steps') ?? 0) + 1;
    data.set('steps', steps);
    return steps;
  }
}

const scope = new Scope();
afterEach(() => {
  ended = [];
  subscribed = [];
  order = [];
});

function start(options: Parameters<Scope['server']>[1] = {}): Promise<RunningPooledServer> {
  return scope.server([PushController], options);
}

describe('groups of sessions', () => {
  it('get what is pushed to their tag, in any form of a pattern, and nobody else does', async () => {
    const { port, strategy } = await start();
    const [a, b, c] = await Promise.all(
      [['red', 'blue'], ['red'], []].map(async (rooms) => {
        const client = scope.client(port, { pool: { min: 1, max: 1 } });
        const got: unknown[] = [];
        client.pushes({ cmd: 'news', v: 1 }).subscribe((data) => got.push(data));
        expect(await client.request('join', rooms)).toEqual(rooms);
        return { client, got };
      }),
    );
    expect(strategy.sessions.size).toBe(3);
    expect(strategy.sessions.tagged('red').size).toBe(2);
    expect(strategy.sessions.tagged('red').push({ v: 1, cmd: 'news' }, 'red')).toBe(2);
    expect(strategy.sessions.tagged('blue').push({ cmd: 'news', v: 1 }, 'blue')).toBe(1);
    expect(strategy.sessions.tagged('green').push({ cmd: 'news', v: 1 }, 'green')).toBe(0);
    expect(strategy.sessions.push({ cmd: 'news', v: 1 }, 'all')).toBe(3);
    await until(() => c?.got.length === 1 && a?.got.length === 3);
    expect([a, b, c].map((it) => it?.got)).toEqual([['red', 'blue', 'all'], ['red', 'all'], ['all']]);
    expect(await a?.client.request('leave', ['red'])).toEqual(['blue']);
    expect(strategy.sessions.tagged('red').size).toBe(1);
    expect(strategy.stats().pushes).toEqual({ sent: 6, dropped: 0, superseded: 0, disconnected: 0, pendingBytes: 0 });
  });

  it('are left by a session that closes, whose signal then fires', async () => {
    const { port, strategy } = await start();
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    const joined = firstValueFrom(sessions);
    await client.request('join', ['red']);
    const session = await joined;
    const gone = new Promise((resolve) => {
      session.signal.addEventListener('abort', resolve);
    });
    expect([...strategy.sessions.tagged('red')]).toEqual([session]);
    client.destroy();
    await gone;
    expect(strategy.sessions.tagged('red').size).toBe(0);
    expect(session.tags.size).toBe(0);
    expect(session.signal.reason).toMatchObject({ code: 'PTCP_CONNECTION_LOST' });
    expect(() => {
      session.push('news', 1);
    }).toThrow(expect.objectContaining({ code: 'PTCP_CONNECTION_LOST' }));
  });

  it('leave stock clients out, and connections that have not said who they are', async () => {
    const { port, strategy } = await start();
    const stock = scope.stockClient(port);
    await lastValueFrom(stock.send('join', ['red']));
    const mute = await RawPeer.connect(port);
    await until(() => strategy.stats().connections === 2);
    expect(strategy.sessions.size).toBe(1);
    expect(strategy.sessions.tagged('red').size).toBe(1);
    expect(strategy.sessions.tagged('red').push('news', 1)).toBe(0);
    expect(strategy.sessions.push('news', 1)).toBe(0);
    mute.socket.destroy();
  });
});

/** Lines of JSON, as a foreign protocol. */
const LINES: { readonly framing: Framing; readonly codec: MessageCodec } = {
  framing: delimiter('\n'),
  codec: {
    encode: (message) => Buffer.from(JSON.stringify(message)),
    decode: (frame) => JSON.parse(frame.toString()) as DecodedMessage,
  },
};

describe.each([
  ['native', {}],
  ['foreign', LINES],
])('a client that never reads, %s', (_, wire) => {
  /** A client in front of which everything the server sends stops; and its session. */
  async function neverReader(push: NonNullable<Parameters<typeof start>[0]>['push']) {
    const server = await start({ push, heartbeat: false, ...wire });
    const proxy = await FaultProxy.listen({
      target: { host: '127.0.0.1', port: server.port },
      windowBytes: 64 * 1024,
    });
    scope.defer(() => proxy.close());
    const client = scope.client(proxy.port, { pool: { min: 1, max: 1 }, heartbeat: false, ...wire });
    const ticks: number[] = [];
    client.pushes<Tick>('tick').subscribe(({ seq }) => ticks.push(seq));
    const joined = firstValueFrom(sessions);
    await client.request('join', ['red']);
    return { ...server, proxy, client, ticks, session: await joined };
  }

  const pad = 'x'.repeat(10_000);
  const MAX = 200_000;
  /** More than every buffer on the way holds. */
  const TICKS = 3_000;

  /** Pushes until far more than fits has been pushed; the bound is looked at all the time. */
  async function flood({ strategy, session }: Awaited<ReturnType<typeof neverReader>>, key?: (seq: number) => string) {
    let most = 0;
    for (let seq = 0; seq < TICKS && !session.signal.aborted; seq++) {
      if (strategy.stats().pushes.disconnected > 0) break;
      session.push('tick', { seq, pad }, { key: key?.(seq) });
      most = Math.max(most, strategy.stats().pushes.pendingBytes);
      if (seq % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return most;
  }

  it('costs maxPendingBytes with dropOldest, and gets the newest when it reads again', async () => {
    const all = await neverReader({ slowReader: 'dropOldest', maxPendingBytes: MAX });
    all.proxy.set({ stall: true }, { direction: 'toClient' });
    expect(await flood(all)).toBeLessThanOrEqual(MAX);
    const { dropped, pendingBytes } = all.strategy.stats().pushes;
    expect(dropped).toBeGreaterThan(0);
    expect(pendingBytes).toBeGreaterThan(MAX / 2);
    all.proxy.heal();
    await until(() => all.ticks.at(-1) === TICKS - 1);
    expect(all.ticks).toEqual(all.ticks.toSorted((a, b) => a - b));
    expect(all.ticks).toHaveLength(TICKS - dropped);
    expect(all.strategy.stats().pushes.pendingBytes).toBe(0);
    expect(await all.client.request('join', [])).toEqual(['red']);
  });

  it('costs one push for each key with latestOnly', async () => {
    const all = await neverReader({ slowReader: 'latestOnly', maxPendingBytes: MAX });
    all.proxy.set({ stall: true }, { direction: 'toClient' });
    expect(await flood(all, (seq) => `${seq % 3}`)).toBeLessThanOrEqual(3 * (pad.length + 100));
    expect(all.strategy.stats().pushes).toMatchObject({ dropped: 0, disconnected: 0 });
    expect(all.strategy.stats().pushes.superseded).toBeGreaterThan(0);
    all.proxy.heal();
    await until(() => all.ticks.at(-1) === TICKS - 1);
    expect(all.ticks.slice(-3)).toEqual([TICKS - 3, TICKS - 2, TICKS - 1]);
    expect(all.ticks).toEqual(all.ticks.toSorted((a, b) => a - b));
  });

  it('is disconnected with disconnect, with a code, and costs nothing from then on', async () => {
    const all = await neverReader({ slowReader: 'disconnect', maxPendingBytes: MAX });
    const gone = new Promise((resolve) => {
      all.session.signal.addEventListener('abort', resolve);
    });
    all.proxy.set({ stall: true }, { direction: 'toClient' });
    expect(await flood(all)).toBeLessThanOrEqual(MAX);
    expect(all.strategy.stats().pushes).toMatchObject({ dropped: 0, disconnected: 1, pendingBytes: 0 });
    await gone;
    expect(all.session.signal.reason).toMatchObject({ code: 'PTCP_WRITE_OVERFLOW' });
    expect(all.strategy.sessions.tagged('red').size).toBe(0);
  });
});

describe('a subscription', () => {
  it('goes on where it was when its server dies, from the position that the application gives', async () => {
    const [first, second] = [await start(), await start()];
    const client = scope.client(undefined, {
      endpoints: [`127.0.0.1:${first.port}`, `127.0.0.1:${second.port}`],
      pool: { min: 1, max: 1 },
      backoff: { initialMs: 10, maxMs: 50 },
    });
    await client.connect();
    const opened = new Subject<string>();
    const ticks: number[] = [];
    const subscription = client
      .pushes<Tick>('tick', {
        subscribe: {
          pattern: 'ticks',
          data: (last) => (last === undefined ? {} : { after: last.seq }),
          opened: (reply, peer) => {
            expect(reply).toBe('subscribed');
            opened.next(peer);
          },
          end: { pattern: 'ticks.end', data: 'bye' },
        },
        isNewer: (tick, last) => tick.seq > last.seq,
      })
      .subscribe(({ seq }) => ticks.push(seq));
    const at = await firstValueFrom(opened);
    const [own, other] = at.endsWith(`:${first.port}`) ? [first, second] : [second, first];
    for (let seq = 0; seq < 3; seq++) own.strategy.sessions.tagged('ticks').push('tick', { seq });
    // Who is not subscribed at a server hears nothing of it, be there a connection or not.
    other.strategy.sessions.push('tick', { seq: 100 });
    await until(() => ticks.length === 3);
    const reopened = firstValueFrom(opened);
    await own.close();
    expect(await reopened).toBe(`127.0.0.1:${other.port}`);
    expect(subscribed).toEqual([{}, { after: 2 }]);
    for (let seq = 1; seq < 6; seq++) other.strategy.sessions.tagged('ticks').push('tick', { seq });
    await until(() => ticks.length === 6);
    expect(ticks).toEqual([0, 1, 2, 3, 4, 5]);
    subscription.unsubscribe();
    await until(() => ended.length === 1);
    expect(ended).toEqual(['bye']);
    expect(other.strategy.sessions.tagged('ticks').size).toBe(0);
  });

  it('errors with what the handler answered, and completes with the client', async () => {
    const { port } = await start();
    const client = scope.client(port);
    const refused = client.pushes('tick', { subscribe: { pattern: 'nobody' } });
    await expect(lastValueFrom(refused)).rejects.toMatchObject({ code: 'PTCP_NO_HANDLER' });
    const plain = lastValueFrom(client.pushes('tick').pipe(toArray()));
    const asked = lastValueFrom(client.pushes('tick', { subscribe: { pattern: 'ticks' } }).pipe(toArray()));
    await until(() => subscribed.length === 1);
    await client.close();
    expect([await plain, await asked]).toEqual([[], []]);
  });

  it('refuses options that make no sense', () => {
    const client = scope.client(1);
    expect(() => client.pushes('tick', { isNewer: () => true })).toThrow(
      expect.objectContaining({ code: 'PTCP_OPTION_CONFLICT' }),
    );
    expect(() => client.pushes('tick', { subscribe: { pattern: undefined } })).toThrow(
      expect.objectContaining({ code: 'PTCP_OPTION_INVALID' }),
    );
    expect(() => client.pushes('tick', { subscribe: { pattern: 'ticks', timeoutMs: 0 } })).toThrow(
      expect.objectContaining({ code: 'PTCP_OPTION_INVALID' }),
    );
  });
});

describe('methods with @OnPush()', () => {
  const calls: unknown[] = [];
  const quotes = new Subject<unknown>();

  @Injectable()
  class Watcher {
    readonly #name = 'watcher';

    @OnPush('quote')
    onQuote(data: unknown): void {
      calls.push([this.#name, data]);
      quotes.next(data);
    }

    @OnPush({ v: 2, cmd: 'quote' })
    @OnPush(7)
    onMany(data: unknown): void {
      quotes.next(data);
    }

    @OnPush('tick', { subscribe: { pattern: 'ticks' } })
    onTick(data: unknown): void {
      quotes.next(data);
    }

    @OnPush('bad')
    onBad(): never {
      throw new Error('a defect');
    }

    @OnPush('worse')
    async onWorse(): Promise<never> {
      await Promise.resolve();
      throw new Error('a later defect');
    }
  }

  async function startApp(providers: Type[], options: PooledTcpClientOptions, logger = new RecordingLogger()) {
    @Module({ imports: [PooledTcpModule.forRoot({ pool: { min: 1, max: 1 }, ...options })], providers })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, { logger, abortOnError: false });
    scope.defer(() => app.close());
    return { app, logger };
  }

  it('are called with what servers push, by any form of pattern, until the application shuts down', async () => {
    const { port, strategy } = await start();
    const { app } = await startApp([Watcher], { host: '127.0.0.1', port });
    const got = lastValueFrom(quotes.pipe(take(4), toArray()));
    await until(() => strategy.sessions.tagged('ticks').size === 1);
    strategy.sessions.push('quote', 1);
    strategy.sessions.push({ cmd: 'quote', v: 2 }, 2);
    strategy.sessions.push(7, 3);
    strategy.sessions.tagged('ticks').push('tick', 4);
    expect(await got).toEqual([1, 2, 3, 4]);
    expect(calls).toEqual([['watcher', 1]]);
    expect(quotes.observed).toBe(false);
    await app.close();
    await until(() => strategy.sessions.size === 0);
  });

  it('whose errors are logged do not disturb the others', async () => {
    const { port, strategy } = await start();
    const { logger } = await startApp([Watcher], { host: '127.0.0.1', port });
    const got = firstValueFrom(quotes);
    strategy.sessions.push('bad', 1);
    strategy.sessions.push('worse', 1);
    strategy.sessions.push('quote', 'after');
    expect(await got).toBe('after');
    await until(() => logger.at('error').length === 2);
    expect(logger.at('error')).toEqual([
      expect.stringContaining('Watcher.onBad failed with a push of "bad": a defect'),
      expect.stringContaining('Watcher.onWorse failed with a push of "worse": a later defect'),
    ]);
  });

  it('fail the start where they name a pool that is not there', async () => {
    @Injectable()
    class Lost {
      @OnPush('quote', { pool: 'ordres' })
      onQuote(): void {
        // Never called.
      }
    }
    await expect(startApp([Lost], { name: 'orders', endpoints: ['127.0.0.1:1'] })).rejects.toMatchObject({
      code: 'PTCP_OPTION_INVALID',
      message: "pool of @OnPush() on Lost.onQuote ('ordres') must be one of the pools of this application (orders)",
    });
  });

  it('fail the start on a provider that is request-scoped', async () => {
    @Injectable({ scope: InjectionScope.REQUEST })
    class PerRequest {
      @OnPush('quote')
      onQuote(): void {
        // Never called.
      }
    }
    await expect(startApp([PerRequest], { endpoints: ['127.0.0.1:1'] })).rejects.toMatchObject({
      code: 'PTCP_OPTION_CONFLICT',
      message: expect.stringContaining('PerRequest.onQuote has @OnPush(), and PerRequest is request-scoped'),
    });
  });
});

describe('the state of a session', () => {
  it('lives over the calls of one connection, and dies with it', async () => {
    const { port } = await start();
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    const lease = await client.acquire();
    expect([await lease.request('step', 'a'), await lease.request('step', 'b')]).toEqual([1, 2]);
    lease.release();
    expect(await client.request('step', 'c')).toBe(3);
    client.evict();
    expect(await client.request('step', 'd')).toBe(1);
  });

  it('is seen by one call at a time on a serial lease, and by all at once on another', async () => {
    const { port } = await start();
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    await client.withLease(
      async (lease) => {
        const steps = ['a', 'b', 'c'].map((name) => lease.request('step', name));
        expect(await Promise.all(steps)).toEqual([1, 2, 3]);
      },
      { serial: true },
    );
    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    order = [];
    await client.withLease(async (lease) => {
      await Promise.all(['a', 'b'].map((name) => lease.request('step', name)));
    });
    expect(order.slice(0, 2)).toEqual(['a begins', 'b begins']);
  });
});
