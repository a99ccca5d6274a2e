import { describe, expect, it } from '@jest/globals';
import {
  Controller,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import {
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  NEVER,
  Observable,
  range,
  reduce,
  Subject,
  take,
  toArray,
} from 'rxjs';
import { PooledTcpContext, PooledTcpStream } from '../../lib/index.js';
import { Scope } from '../support/nest-app.js';

const KIB = 'x'.repeat(1024);

/** What the handlers below have done; each test looks at its own. */
class Progress extends EventEmitter {
  produced = 0;
  stopped = 0;
  consumed: unknown[] = [];
  errors: unknown[] = [];

  reset(): void {
    this.produced = 0;
    this.stopped = 0;
    this.consumed = [];
    this.errors = [];
  }
}
const progress = new Progress();

class PassThrough implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Controller()
class StreamController {
  @MessagePattern('count')
  async *count(@Payload() to: number): AsyncGenerator<number> {
    try {
      for (let n = 1; n <= to; n++) {
        await Promise.resolve();
        progress.produced = n;
        yield n;
      }
    } finally {
      progress.stopped += 1;
      progress.emit('stopped');
    }
  }

  @UseInterceptors(PassThrough)
  @MessagePattern('count-intercepted')
  countIntercepted(@Payload() to: number): AsyncGenerator<number> {
    return this.count(to);
  }

  @MessagePattern('endless')
  async *endless(): AsyncGenerator<string> {
    try {
      for (;;) {
        await Promise.resolve();
        progress.produced += 1;
        yield KIB;
      }
    } finally {
      progress.stopped += 1;
      progress.emit('stopped');
    }
  }

  @MessagePattern('polite')
  polite(@Ctx() context: PooledTcpContext): Observable<string> {
    return new Observable((subscriber) => {
      void (async () => {
        while (!subscriber.closed) {
          await context.whenWritable();
          progress.produced += 1;
          subscriber.next(KIB);
        }
      })();
      return () => {
        progress.stopped += 1;
        progress.emit('stopped');
      };
    });
  }

  @MessagePattern('rude')
  rude(): Observable<string> {
    return new Observable((subscriber) => {
      const timer = setInterval(() => {
        for (let i = 0; i < 64; i++) subscriber.next(KIB);
      }, 0);
      return () => {
        clearInterval(timer);
        progress.stopped += 1;
        progress.emit('stopped');
      };
    });
  }

  @MessagePattern('readable')
  readable(): Readable {
    return Readable.from([Buffer.from('one'), Buffer.from('two')]);
  }

  @MessagePattern('breaks')
  async *breaks(): AsyncGenerator<number> {
    await Promise.resolve();
    yield 1;
    throw new Error('half way');
  }

  @MessagePattern('range')
  range(@Payload() to: number): Observable<number> {
    return range(1, to);
  }

  @MessagePattern('sum')
  sum(@Payload() numbers: Observable<number>): Observable<number> {
    return numbers.pipe(reduce((sum, n) => sum + n, 0));
  }

  @MessagePattern('double')
  double(@Payload() numbers: Observable<number>): Observable<number> {
    return numbers.pipe(map((n) => n * 2));
  }

  @MessagePattern('slow-sum')
  async slowSum(@Payload() numbers: AsyncIterable<number>): Promise<number> {
    let sum = 0;
    try {
      for await (const n of numbers) {
        progress.consumed.push(n);
        progress.emit('consumed');
        if (n === 0) await once(progress, 'go');
        sum += n;
      }
    } catch (error) {
      progress.errors.push(error);
      progress.emit('failed');
      throw error;
    }
    return sum;
  }

  @MessagePattern('first-only')
  async firstOnly(@Payload() numbers: PooledTcpStream<number>): Promise<number> {
    return firstValueFrom(numbers);
  }

  @MessagePattern('echo')
  echo(@Payload() value: unknown): unknown {
    return value;
  }
}

const scope = new Scope();

async function connected(protocol: Parameters<Scope['client']>[1] = {}, server: Parameters<Scope['server']>[1] = {}) {
  progress.reset();
  const { port, strategy } = await scope.server([StreamController], server);
  const client = scope.client(port, { pool: { min: 1, max: 1 }, ...protocol });
  await client.connect();
  return { client, strategy, port };
}

async function taken<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

describe('a handler’s stream', () => {
  it.each(['count', 'count-intercepted', 'range'])(
    '%s arrives whole and in order, however it is asked for',
    async (pattern) => {
      const { client } = await connected();
      const expected = Array.from({ length: 100 }, (_, i) => i + 1);
      expect(await taken(client.stream<number>(pattern, 100))).toEqual(expected);
      expect(await lastValueFrom(client.send<number>(pattern, 100).pipe(toArray()))).toEqual(expected);
      expect(await client.request(pattern, 100)).toBe(100);
    },
  );

  it('may be larger than the window by far', async () => {
    const { client } = await connected({ streamWindowBytes: 1024 });
    const items = await taken(client.stream<number>('count', 5_000));
    expect(items).toHaveLength(5_000);
    expect(items.at(-1)).toBe(5_000);
    expect(await lastValueFrom(client.send<number>('range', 20_000).pipe(reduce((sum, n) => sum + n, 0)))).toBe(
      200_010_000,
    );
  });

  it('of a Node stream arrives as its chunks', async () => {
    const { client } = await connected();
    expect(await taken(client.stream<Buffer>('readable', {}))).toEqual([Buffer.from('one'), Buffer.from('two')]);
  });

  it.each(['endless', 'polite'])(
    '%s is stopped by a consumer that takes nothing, and calls on the connection go on',
    async (pattern) => {
      const { client } = await connected({ streamWindowBytes: 64 * 1024 });
      const iterator = client.stream<string>(pattern, {})[Symbol.asyncIterator]();
      expect((await iterator.next()).value).toBe(KIB);
      // Each echo is a round trip behind everything that was sent before it: the producer has had its chance.
      for (let i = 0; i < 20; i++) expect(await client.request('echo', i)).toBe(i);
      const produced = progress.produced;
      expect(produced).toBeLessThan(128);
      for (let i = 0; i < 20; i++) await client.request('echo', i);
      expect(progress.produced).toBe(produced);

      for (let i = 0; i < 1_000; i++) expect((await iterator.next()).value).toBe(KIB);
      expect(progress.produced).toBeGreaterThan(1_000);
      const stopped = once(progress, 'stopped');
      await iterator.return?.();
      await stopped;
      expect(client.stats()).toMatchObject({ inFlight: 0 });
    },
  );

  it('that cannot wait fails alone once too much waits for its consumer', async () => {
    const { client, strategy } = await connected({ streamWindowBytes: 4096 }, { maxPendingWriteBytes: 256 * 1024 });
    const iterator = client.stream<string>('rude', {})[Symbol.asyncIterator]();
    await iterator.next();
    await once(progress, 'stopped');
    expect(await client.request('echo', 'fine')).toBe('fine');
    const rest = (async () => {
      for (;;) await iterator.next();
    })();
    await expect(rest).rejects.toMatchObject({ code: 'PTCP_WRITE_OVERFLOW', sent: true });
    expect(strategy.stats()).toMatchObject({ connections: 1, inFlight: 0 });
  });

  it('that is left early is stopped at its handler', async () => {
    const { client } = await connected();
    const stopped = once(progress, 'stopped');
    expect(await lastValueFrom(client.send<string>('endless', {}).pipe(take(3), toArray()))).toHaveLength(3);
    await stopped;
    expect(progress.stopped).toBe(1);
  });

  it('is stopped by its caller’s signal', async () => {
    const { client } = await connected();
    const abort = new AbortController();
    const stopped = once(progress, 'stopped');
    const items: string[] = [];
    await expect(
      (async () => {
        for await (const item of client.stream<string>('endless', {}, { signal: abort.signal })) {
          items.push(item);
          if (items.length === 5) abort.abort();
        }
      })(),
    ).rejects.toMatchObject({ code: 'PTCP_ABORTED' });
    await stopped;
  });

  it('that breaks delivers what came before', async () => {
    const { client } = await connected();
    const iterator = client.stream<number>('breaks', {})[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    await expect(iterator.next()).rejects.toMatchObject({
      code: 'PTCP_HANDLER_FAILED',
      cause: { status: 'error', message: 'Internal server error' },
    });
  });
});

describe('what a request streams', () => {
  async function* numbers(to: number): AsyncGenerator<number> {
    for (let n = 1; n <= to; n++) {
      await Promise.resolve();
      yield n;
    }
  }

  it.each(['sum', 'slow-sum'])('reaches %s whole', async (pattern) => {
    const { client } = await connected({}, { streamWindowBytes: 1024 });
    expect(await client.request(pattern, numbers(3_000))).toBe(4_501_500);
    expect(await client.request(pattern, range(1, 3_000))).toBe(4_501_500);
    expect(await firstValueFrom(client.send(pattern, from([1, 2, 3])))).toBe(6);
  });

  it('goes both ways at once', async () => {
    const { client } = await connected();
    expect(await taken(client.stream('double', numbers(500)))).toEqual(
      Array.from({ length: 500 }, (_, i) => (i + 1) * 2),
    );
    const source = new Subject<number>();
    const answers: number[] = [];
    const done = new Promise<void>((resolve) => {
      client.send<number>('double', source).subscribe({ next: (n) => answers.push(n), complete: resolve });
    });
    await client.request('echo', 0);
    source.next(1);
    source.next(2);
    source.complete();
    await done;
    expect(answers).toEqual([2, 4]);
  });

  it('is held back while the handler is busy', async () => {
    const { client } = await connected({}, { streamWindowBytes: 1024 });
    let produced = 0;
    const source = (async function* () {
      for (; produced < 2_000; produced++) {
        await Promise.resolve();
        yield produced;
      }
    })();
    const sum = client.request('slow-sum', source);
    while (progress.consumed.length < 1) await once(progress, 'consumed');
    for (let i = 0; i < 20; i++) await client.request('echo', i);
    const before = produced;
    expect(before).toBeLessThan(200);
    for (let i = 0; i < 20; i++) await client.request('echo', i);
    expect(produced).toBe(before);
    progress.emit('go');
    expect(await sum).toBe(1_999_000);
  });

  it('is stopped when the handler has answered without the rest', async () => {
    const { client } = await connected();
    let isStopped = false;
    const source = new Observable<number>((subscriber) => {
      subscriber.next(7);
      return () => {
        isStopped = true;
      };
    });
    expect(await client.request('first-only', source)).toBe(7);
    expect(isStopped).toBe(true);
  });

  it('fails the call and the handler’s stream when its source fails', async () => {
    const { client } = await connected();
    const cause = new Error('disk');
    const failed = once(progress, 'failed');
    await expect(
      client.request(
        'slow-sum',
        new Observable((subscriber) => {
          subscriber.next(1);
          subscriber.error(cause);
        }),
      ),
    ).rejects.toMatchObject({ code: 'PTCP_SOURCE_FAILED', cause });
    await failed;
    expect(progress.errors).toEqual([expect.objectContaining({ code: 'PTCP_SOURCE_FAILED' })]);
  });

  it('fails the handler’s stream when the caller gives up, or is gone', async () => {
    const { client } = await connected();
    const abort = new AbortController();
    let failed = once(progress, 'failed');
    const first = client.request('slow-sum', NEVER, { signal: abort.signal });
    await client.request('echo', 0);
    abort.abort();
    await expect(first).rejects.toMatchObject({ code: 'PTCP_ABORTED' });
    await failed;
    failed = once(progress, 'failed');
    const second = client.request('slow-sum', NEVER);
    await client.request('echo', 0);
    client.destroy();
    await expect(second).rejects.toMatchObject({ code: 'PTCP_POOL_CLOSED' });
    await failed;
    expect(progress.errors).toMatchObject([{ code: 'PTCP_ABORTED' }, { code: 'PTCP_CONNECTION_LOST' }]);
  });

  it('is no event, and nothing for the stock wire', async () => {
    const { client, port } = await connected();
    await expect(firstValueFrom(client.emit('echo', from([1])))).rejects.toMatchObject({ code: 'PTCP_UNSUPPORTED' });
    const stock = await scope.stockServer([StreamController]);
    const other = scope.client(stock.port);
    await expect(other.request('sum', from([1]))).rejects.toMatchObject({ code: 'PTCP_UNSUPPORTED', sent: false });
    expect(port).not.toBe(stock.port);
  });
});

describe('a large message', () => {
  const large = Buffer.alloc(3 * 1024 * 1024, 'abc');

  it('goes whole in both directions, as bytes and as text', async () => {
    const { client } = await connected();
    expect(large.equals(await client.request<Buffer>('echo', large))).toBe(true);
    const text = large.toString();
    expect((await client.request<string>('echo', text)) === text).toBe(true);
    const all = await Promise.all(Array.from({ length: 8 }, () => client.request<Buffer>('echo', large)));
    expect(all.every((reply) => large.equals(reply))).toBe(true);
  });

  it('lets small calls pass it by', async () => {
    const { client } = await connected();
    const order: string[] = [];
    const slow = client.request('echo', large).then(() => order.push('large'));
    const quick = client.request('echo', 1).then(() => order.push('small'));
    await Promise.all([slow, quick]);
    expect(order).toEqual(['small', 'large']);
  });

  it('that is larger than the other end takes fails alone', async () => {
    const { client } = await connected({ maxFrameBytes: 1024 * 1024 });
    await expect(client.request('echo', large)).rejects.toMatchObject({ code: 'PTCP_FRAME_TOO_LARGE', sent: false });
    expect(await client.request('echo', 1)).toBe(1);
  });

  it('that its caller gives up leaves the connection in step', async () => {
    const { client } = await connected();
    const abort = new AbortController();
    const given = client.request('echo', large, { signal: abort.signal });
    await client.request('echo', 0);
    abort.abort();
    await expect(given).rejects.toMatchObject({ code: 'PTCP_ABORTED' });
    for (let i = 0; i < 10; i++) expect(await client.request('echo', i)).toBe(i);
    expect(large.equals(await client.request<Buffer>('echo', large))).toBe(true);
  });
});
