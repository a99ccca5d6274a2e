import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  Injectable,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException, type ClientTCP } from '@nestjs/microservices';
import {
  asapScheduler,
  concat,
  firstValueFrom,
  from,
  map,
  observeOn,
  of,
  range,
  Subject,
  take,
  throwError,
  toArray,
  type Observable,
} from 'rxjs';
import { native, nestJson, PooledTcpClient, PooledTcpError } from '../../lib/index.js';
import { Scope } from '../support/nest-app.js';

const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

/** Data of the events that arrived. */
const events = new Subject<unknown>();

@Injectable()
class LettersOnly implements PipeTransform {
  transform(value: string): string {
    if (!/^[a-z]+$/.test(value)) throw new RpcException('letters only');
    return value.toUpperCase();
  }
}

class OwnerOnly implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToRpc().getData<{ owner?: boolean }>().owner === true;
  }
}

class Doubled implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler<number>): Observable<number> {
    return next.handle().pipe(map((value) => value * 2));
  }
}

@Catch(RangeError)
class RangeFilter implements ExceptionFilter {
  catch(error: RangeError): Observable<never> {
    return throwError(() => ({ kind: 'filtered', text: error.message }));
  }
}

@Controller()
class RepliesController {
  @MessagePattern('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }

  @MessagePattern('later')
  async later(@Payload() value: unknown): Promise<unknown> {
    return await new Promise((resolve) => setImmediate(resolve, { later: value }));
  }

  @MessagePattern('count')
  count(@Payload() to: number): Observable<number> {
    return from(Array.from({ length: to }, (_, i) => i));
  }

  @MessagePattern('count-slowly')
  countSlowly(@Payload() to: number): Observable<number> {
    return range(0, to).pipe(observeOn(asapScheduler));
  }

  @MessagePattern('nothing')
  nothing(): void {
    // Answers without a value.
  }

  @MessagePattern('no-items')
  noItems(): Observable<never> {
    return from([]);
  }

  @MessagePattern('empty')
  empty(): null {
    return null;
  }

  @MessagePattern({ cmd: 'object', nested: { b: 1, a: 'x' } })
  object(): string {
    return 'object pattern';
  }

  @MessagePattern(42)
  number(): string {
    return 'number pattern';
  }

  @MessagePattern('text')
  text(@Payload() value: string): string {
    return value;
  }

  @MessagePattern('rpc-text')
  rpcText(): never {
    throw new RpcException('out of stock');
  }

  @MessagePattern('rpc-object')
  rpcObject(): never {
    throw new RpcException({ code: 'OUT_OF_STOCK', left: 0 });
  }

  @MessagePattern('plain-error')
  plainError(): never {
    throw new Error('secret detail');
  }

  @MessagePattern('error-after-items')
  errorAfterItems(): Observable<number> {
    return concat(
      of(1, 2),
      throwError(() => new RpcException('third')),
    );
  }

  @UseGuards(OwnerOnly)
  @MessagePattern('guarded')
  guarded(): string {
    return 'welcome';
  }

  @MessagePattern('piped')
  piped(@Payload(LettersOnly) value: string): string {
    return value;
  }

  @UseInterceptors(Doubled)
  @MessagePattern('intercepted')
  intercepted(@Payload() value: number): Observable<number> {
    return of(value, value + 1);
  }

  @UseFilters(RangeFilter)
  @MessagePattern('filtered')
  filtered(): never {
    throw new RangeError('too far');
  }

  @EventPattern('created')
  created(@Payload() data: unknown): void {
    events.next(data);
  }

  @EventPattern({ event: 'shipped', by: 'sea' })
  shipped(@Payload() data: unknown): void {
    events.next(data);
  }

  @MessagePattern('bigint')
  bigint(): bigint {
    return 2n ** 64n;
  }

  @MessagePattern('bigint-item')
  bigintItem(): Observable<number | bigint> {
    return from([1, 2n ** 64n, 3]);
  }
}

interface Pair {
  readonly name: string;
  readonly connect: (scope: Scope) => Promise<PooledTcpClient | ClientTCP>;
}

const PAIRS: readonly Pair[] = [
  {
    name: 'our client to our server, native',
    connect: async (scope) => scope.client((await scope.server([RepliesController])).port, { protocol: native() }),
  },
  {
    name: 'our client to our server, MessagePack',
    connect: async (scope) =>
      scope.client((await scope.server([RepliesController])).port, { protocol: native(), codec: 'msgpack' }),
  },
  {
    name: 'our client to our server, on the stock wire',
    connect: async (scope) => scope.client((await scope.server([RepliesController])).port, { protocol: nestJson() }),
  },
  {
    name: 'the stock client to our server',
    connect: async (scope) => scope.stockClient((await scope.server([RepliesController])).port),
  },
  {
    name: 'our client to the stock server',
    connect: async (scope) => scope.client((await scope.stockServer([RepliesController])).port),
  },
];

for (const { name, connect } of PAIRS) {
  describe(`from ${name}`, () => {
    const scope = new Scope(afterAll);
    let client: PooledTcpClient | ClientTCP;

    beforeAll(async () => {
      client = await connect(scope);
      await client.connect();
    });

    /** Every value that send() emits, and the error it ends with. */
    async function outcome(pattern: unknown, data: unknown): Promise<{ values: unknown[]; error?: unknown }> {
      const values: unknown[] = [];
      return new Promise((resolve) => {
        client.send<unknown>(pattern, data).subscribe({
          next: (value) => values.push(value),
          error: (error: unknown) => {
            resolve({ values, error });
          },
          complete: () => {
            resolve({ values });
          },
        });
      });
    }

    it.each<[string, unknown, unknown, unknown[]]>([
      ['a value', 'sum', [1, 2, 3], [6]],
      ['a promise’s value', 'later', 'x', [{ later: 'x' }]],
      ['each item of an Observable, in order', 'count', 100, Array.from({ length: 100 }, (_, i) => i)],
      ['items that come over time', 'count-slowly', 20, Array.from({ length: 20 }, (_, i) => i)],
      ['no value where the handler returns undefined', 'nothing', {}, []],
      ['no value where the Observable is empty', 'no-items', {}, []],
      ['null', 'empty', {}, [null]],
      ['text beyond ASCII', 'text', 'grüße 你好 👋 \u{10ffff}\u2028"\\', ['grüße 你好 👋 \u{10ffff}\u2028"\\']],
      ['an empty string', 'text', '', ['']],
      ['from an object pattern', { cmd: 'object', nested: { b: 1, a: 'x' } }, {}, ['object pattern']],
      ['whatever the order of its keys', { nested: { a: 'x', b: 1 }, cmd: 'object' }, {}, ['object pattern']],
      ['from a number pattern', 42, {}, ['number pattern']],
      ['from behind a guard', 'guarded', { owner: true }, ['welcome']],
      ['from behind a pipe', 'piped', 'abc', ['ABC']],
      ['from behind an interceptor', 'intercepted', 5, [10, 12]],
    ])('send() delivers %s', async (_what, pattern, data, values) => {
      await expect(outcome(pattern, data)).resolves.toEqual({ values });
    });

    it.each<[string, unknown, unknown, unknown]>([
      ['RpcException with a text', 'rpc-text', {}, { status: 'error', message: 'out of stock' }],
      ['RpcException with an object', 'rpc-object', {}, { code: 'OUT_OF_STOCK', left: 0 }],
      ['plain Error, hidden', 'plain-error', {}, { status: 'error', message: 'Internal server error' }],
      ['refusal of a guard', 'guarded', { owner: false }, { status: 'error', message: 'Forbidden resource' }],
      ['refusal of a pipe', 'piped', '123', { status: 'error', message: 'letters only' }],
      ['answer of a filter', 'filtered', {}, { kind: 'filtered', text: 'too far' }],
    ])('send() errors with the %s', async (_what, pattern, data, error) => {
      await expect(outcome(pattern, data)).resolves.toEqual({ values: [], error });
    });

    it('send() delivers the items before an error', async () => {
      await expect(outcome('error-after-items', {})).resolves.toEqual({
        values: [1, 2],
        error: { status: 'error', message: 'third' },
      });
    });

    it('send() to an unknown pattern says so', async () => {
      const { error } = await outcome('nobody', {});
      if (client instanceof PooledTcpClient) {
        expect(error).toBeInstanceOf(PooledTcpError);
        expect(error).toMatchObject({ code: 'PTCP_NO_HANDLER', sent: false });
      } else expect(error).toBe(NO_HANDLER);
    });

    it.each<[string, unknown]>([
      ['a text pattern', 'created'],
      ['an object pattern', { by: 'sea', event: 'shipped' }],
    ])('emit() reaches the event handler of %s', async (_what, pattern) => {
      const arrived = firstValueFrom(events);
      client.emit(pattern, { id: 7 });
      await expect(arrived).resolves.toEqual({ id: 7 });
    });

    it('every event of many at once arrives', async () => {
      const arrived = firstValueFrom(events.pipe(take(200), toArray()));
      for (let i = 0; i < 200; i++) client.emit('created', i);
      expect(new Set(await arrived)).toEqual(new Set(Array.from({ length: 200 }, (_, i) => i)));
    });

    it('many calls at once get each its own answer', async () => {
      const calls = Array.from({ length: 500 }, (_, i) => outcome('later', i));
      await expect(Promise.all(calls)).resolves.toEqual(
        Array.from({ length: 500 }, (_, i) => ({ values: [{ later: i }] })),
      );
    });
  });
}

const OURS = PAIRS.filter((pair) => !pair.name.startsWith('the stock client'));

for (const { name, connect } of OURS) {
  describe(`request() from ${name}`, () => {
    const scope = new Scope(afterAll);
    let client: PooledTcpClient;

    beforeAll(async () => {
      client = (await connect(scope)) as PooledTcpClient;
      await client.connect();
    });

    it.each<[string, unknown, unknown, unknown]>([
      ['the value', 'sum', [1, 2, 3], 6],
      ['the last item of a stream', 'count', 5, 4],
      ['undefined where there is no value', 'nothing', {}, undefined],
      ['null', 'empty', {}, null],
    ])('resolves with %s', async (_what, pattern, data, value) => {
      await expect(client.request(pattern, data)).resolves.toBe(value);
    });

    it.each<[string, unknown]>([
      ['rpc-text', { status: 'error', message: 'out of stock' }],
      ['rpc-object', { code: 'OUT_OF_STOCK', left: 0 }],
      ['plain-error', { status: 'error', message: 'Internal server error' }],
    ])('rejects with the handler’s answer as the cause: %s', async (pattern, cause) => {
      const failure = await client.request(pattern, {}).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(PooledTcpError);
      expect(failure).toMatchObject({ code: 'PTCP_HANDLER_FAILED', sent: true, cause });
    });

    it('rejects for an unknown pattern', async () => {
      await expect(client.request('nobody', {})).rejects.toMatchObject({ code: 'PTCP_NO_HANDLER', sent: false });
    });

    it('rejects for data that cannot be serialised, unsent, and touches no other call', async () => {
      const others = Array.from({ length: 50 }, (_, i) => client.request('later', i));
      const cycle: Record<string, unknown> = {};
      cycle['self'] = cycle;
      for (const data of [2n ** 64n, cycle, { toJSON: () => JSON.parse('{') as unknown }]) {
        const failure = await client.request('text', data).catch((error: unknown) => error);
        expect(failure).toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE', sent: false });
      }
      await expect(Promise.all(others)).resolves.toHaveLength(50);
      expect(client.stats().inFlight).toBe(0);
    });

    it('emit() errors for data that cannot be serialised', async () => {
      await expect(firstValueFrom(client.emit('created', 2n ** 64n))).rejects.toMatchObject({
        code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
        sent: false,
      });
    });
  });
}

for (const options of [{ protocol: native() }, { protocol: nestJson() }, { codec: 'msgpack' }] as const) {
  describe(`an answer that cannot be serialised, ${'codec' in options ? options.codec : options.protocol.protocol}`, () => {
    const scope = new Scope();

    it('fails its own call with a code, and no other on the same connection', async () => {
      const { port } = await scope.server([RepliesController]);
      const client = scope.client(port, { ...options, pool: { min: 1, max: 1 } });
      const others = Array.from({ length: 50 }, (_, i) => client.request('later', i));
      await expect(client.request('bigint', {})).rejects.toMatchObject({
        code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
        sent: true,
      });
      await expect(client.request('bigint-item', {})).rejects.toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE' });
      await expect(Promise.all(others)).resolves.toHaveLength(50);
      expect(client.stats().endpoints[0]).toMatchObject({ created: 1, total: 1 });
    });
  });
}

describe('on a connection of its own', () => {
  const scope = new Scope();

  it('a stock client gets an answer that cannot be serialised as an error of that call', async () => {
    const client = scope.stockClient((await scope.server([RepliesController])).port);
    await expect(firstValueFrom(client.send('bigint', {}))).rejects.toMatchObject({
      status: 'error',
      code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
    });
    await expect(firstValueFrom(client.send('sum', [1, 2]))).resolves.toBe(3);
  });

  it('rejects for metadata that is not made of strings, unsent, and touches no other call', async () => {
    const { port } = await scope.server([RepliesController]);
    const client = scope.client(port, { protocol: native() });
    await client.connect();
    const others = Array.from({ length: 50 }, (_, i) => client.request('later', i));
    const closed = { ...client.stats().endpoints[0]?.closed };
    for (const wrong of [{ n: 1 }, { n: 1n }, 'text']) {
      const metadata = wrong as unknown as Record<string, string>;
      const failure = await client.request('text', '', { metadata }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE', sent: false });
    }
    await expect(Promise.all(others)).resolves.toHaveLength(50);
    expect(client.stats().endpoints[0]?.closed).toEqual(closed);
  });

  it.each([native(), nestJson()])('events keep their order, $protocol', async (protocol) => {
    const { port } = await scope.server([RepliesController]);
    const client = scope.client(port, { protocol, pool: { min: 1, max: 1 } });
    const arrived = firstValueFrom(events.pipe(take(200), toArray()));
    for (let i = 0; i < 200; i++) client.emit('created', i);
    await expect(arrived).resolves.toEqual(Array.from({ length: 200 }, (_, i) => i));
  });
});
