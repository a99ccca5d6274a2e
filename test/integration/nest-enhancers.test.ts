import { describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  Inject,
  Injectable,
  Module,
  Scope as InjectionScope,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, NestFactory, REQUEST } from '@nestjs/core';
import { EventPattern, MessagePattern, Payload, type RequestContext } from '@nestjs/microservices';
import { defer, finalize, from, lastValueFrom, map, tap, throwError, toArray, type Observable } from 'rxjs';
import { native, nestJson, PooledTcpContext, PooledTcpServer, type PooledTcpClient } from '../../lib/index.js';
import { moduleOf, Scope } from '../support/nest-app.js';
import { until } from '../support/sockets.js';

const scope = new Scope();
/** What ran, in order. */
const order: string[] = [];

@Injectable()
class Guard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    order.push(`guard ${context.getType()}`);
    expect(context.switchToRpc().getContext()).toBeInstanceOf(PooledTcpContext);
    return context.switchToRpc().getData() !== 'forbidden';
  }
}

@Injectable()
class Interceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    order.push('interceptor before');
    return next.handle().pipe(
      tap((value) => order.push(`interceptor ${String(value)}`)),
      finalize(() => order.push('interceptor after')),
    );
  }
}

@Injectable()
class Pipe implements PipeTransform {
  transform(value: unknown, { type }: { type: string }): unknown {
    order.push(`pipe ${type}`);
    return type === 'body' && typeof value === 'string' ? value.toUpperCase() : value;
  }
}

@Catch()
class Filter implements ExceptionFilter {
  catch(error: Error, host: ArgumentsHost): Observable<never> {
    order.push(`filter ${error.message}`);
    const pattern = host.switchToRpc().getContext<PooledTcpContext>().getPattern();
    return throwError(() => ({ pattern, filtered: error.message }));
  }
}

@Controller()
class EnhancedController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    order.push('handler');
    return data;
  }

  @MessagePattern('items')
  items(@Payload() data: unknown): Observable<unknown> {
    order.push('handler');
    return from([data, data]);
  }

  @MessagePattern('fail')
  fail(@Payload() data: string): never {
    throw new Error(data);
  }

  @MessagePattern('fail-late')
  failLate(@Payload() data: string): Observable<never> {
    return defer(() => throwError(() => new Error(data)));
  }

  @EventPattern('noted')
  noted(@Payload() data: unknown): void {
    order.push(`event ${String(data)}`);
  }
}

const ENHANCERS = [
  { provide: APP_GUARD, useClass: Guard },
  { provide: APP_INTERCEPTOR, useClass: Interceptor },
  { provide: APP_PIPE, useClass: Pipe },
  { provide: APP_FILTER, useClass: Filter },
];

const ONE = { min: 1, max: 1 };

describe.each([native(), nestJson()])('enhancers of the whole application, $protocol', (protocol) => {
  async function connect(): Promise<PooledTcpClient> {
    const { port } = await scope.server([EnhancedController], {}, ENHANCERS);
    order.length = 0;
    return scope.client(port, { protocol, pool: ONE });
  }

  it('run around a handler in the order of every Nest transport', async () => {
    const client = await connect();
    await expect(client.request('echo', 'a')).resolves.toBe('A');
    expect(order).toEqual([
      'guard rpc',
      'interceptor before',
      'pipe body',
      'handler',
      'interceptor A',
      'interceptor after',
    ]);
  });

  it('see each item of a stream', async () => {
    const client = await connect();
    await expect(lastValueFrom(client.send('items', 'a').pipe(toArray()))).resolves.toEqual(['A', 'A']);
    expect(order.slice(-3)).toEqual(['interceptor A', 'interceptor A', 'interceptor after']);
  });

  it('filters answer for handlers, streams and guards', async () => {
    const client = await connect();
    const answers = [
      ['fail', 'x', 'X'],
      ['fail-late', 'x', 'X'],
      ['echo', 'forbidden', 'Forbidden resource'],
    ] as const;
    for (const [pattern, data, filtered] of answers) {
      await expect(lastValueFrom(client.send(pattern, data))).rejects.toEqual({ pattern, filtered });
    }
  });

  it('run for events, too', async () => {
    const client = await connect();
    client.emit('noted', 'a');
    await until(() => order.includes('interceptor after'));
    expect(order.slice(0, 4)).toEqual(['guard rpc', 'interceptor before', 'pipe body', 'event A']);
  });
});

describe('a request-scoped provider', () => {
  let made = 0;

  @Injectable({ scope: InjectionScope.REQUEST })
  class Tracker {
    readonly number = (made += 1);

    constructor(@Inject(REQUEST) readonly request: RequestContext<unknown, PooledTcpContext>) {}
  }

  @Controller()
  class ScopedController {
    constructor(@Inject(Tracker) private readonly tracker: Tracker) {}

    @MessagePattern('track')
    async track(@Payload() data: unknown): Promise<unknown> {
      await Promise.resolve();
      const { number, request } = this.tracker;
      return { number, data, same: request.getData() === data, pattern: request.getContext().getPattern() };
    }

    @EventPattern('tracked')
    tracked(@Payload() data: unknown): void {
      order.push(`tracked ${String(data)} by ${this.tracker.number}`);
    }
  }

  it.each([native(), nestJson()])('is one for each request and event, and knows it, $protocol', async (protocol) => {
    const { port } = await scope.server([ScopedController], {}, [Tracker]);
    const client = scope.client(port, { protocol });
    made = 0;
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => client.request('track', { i })));
    expect(answers).toEqual(
      Array.from({ length: 20 }, (_, i) => ({ number: expect.any(Number), data: { i }, same: true, pattern: 'track' })),
    );
    expect(new Set(answers.map((answer) => (answer as { number: number }).number)).size).toBe(20);
    order.length = 0;
    client.emit('tracked', 'x');
    await until(() => order.length === 1);
    expect(order).toEqual(['tracked x by 21']);
  });
});

describe('a hybrid application', () => {
  async function hybrid(inheritAppConfig: boolean): Promise<PooledTcpClient> {
    @Module({ controllers: [EnhancedController] })
    class HybridModule {}
    const app = await NestFactory.create(HybridModule, { logger: false });
    scope.defer(() => app.close());
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
    app.useGlobalPipes(new Pipe());
    app.useGlobalFilters(new Filter());
    app.connectMicroservice({ strategy }, { inheritAppConfig });
    await app.startAllMicroservices();
    order.length = 0;
    return scope.client((strategy.unwrap().address() as { port: number }).port, { pool: ONE });
  }

  it('gives its pipes and filters to the server with inheritAppConfig', async () => {
    const client = await hybrid(true);
    await expect(client.request('echo', 'a')).resolves.toBe('A');
    await expect(lastValueFrom(client.send('fail', 'x'))).rejects.toEqual({ pattern: 'fail', filtered: 'X' });
  });

  it('keeps them to itself without', async () => {
    const client = await hybrid(false);
    await expect(client.request('echo', 'a')).resolves.toBe('a');
    await expect(lastValueFrom(client.send('fail', 'x'))).rejects.toMatchObject({ message: 'Internal server error' });
    expect(order).toEqual(['handler']);
  });
});

describe('hooks before a request', () => {
  async function hooked(register: Parameters<PreRequestApp['registerPreRequestHook']>): Promise<PooledTcpClient> {
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
    const app = await NestFactory.createMicroservice(moduleOf([EnhancedController], ENHANCERS), {
      strategy,
      logger: false,
    });
    scope.defer(() => app.close());
    app.registerPreRequestHook(...register);
    await app.listen();
    order.length = 0;
    return scope.client((strategy.unwrap().address() as { port: number }).port, { pool: ONE });
  }

  it('run before every guard, in order, and may change the answer', async () => {
    const client = await hooked([
      (context, next) => {
        order.push(`first ${context.switchToRpc().getContext<PooledTcpContext>().getPattern()}`);
        return next();
      },
      (_context, next) => {
        order.push('second');
        return next().pipe(map((answer) => `${String(answer)}!`));
      },
    ]);
    await expect(client.request('echo', 'a')).resolves.toBe('A!');
    expect(order.slice(0, 3)).toEqual(['first echo', 'second', 'guard rpc']);
  });

  it('that throw, or answer with an error, fail their own request', async () => {
    let isBroken = true;
    const client = await hooked([
      (_context, next) => {
        if (isBroken) throw new Error('a hook');
        return next();
      },
    ]);
    await expect(client.request('echo', 'a')).rejects.toMatchObject({ code: 'PTCP_HANDLER_FAILED' });
    isBroken = false;
    await expect(client.request('echo', 'a')).resolves.toBe('A');
  });
});

type PreRequestApp = Awaited<ReturnType<typeof NestFactory.createMicroservice>>;

describe('a transport id of one’s own', () => {
  const ORDERS = Symbol('orders');

  @Controller()
  class TwoTransportsController {
    @MessagePattern('who', ORDERS)
    orders(): string {
      return 'orders';
    }

    @MessagePattern('who', 'another' as never)
    another(): string {
      return 'another';
    }

    @MessagePattern('all')
    all(): string {
      return 'all';
    }
  }

  it('serves the handlers that are bound to it, and those that are bound to none', async () => {
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
    strategy.setTransportId(ORDERS);
    const hooks: unknown[] = [];
    strategy.setOnProcessingStartHook((transportId, _context, done) => {
      hooks.push(transportId);
      void done();
    });
    const app = await NestFactory.createMicroservice(moduleOf([TwoTransportsController]), { strategy, logger: false });
    scope.defer(() => app.close());
    await app.listen();
    const client = scope.client((strategy.unwrap().address() as { port: number }).port);
    await expect(client.request('who', {})).resolves.toBe('orders');
    await expect(client.request('all', {})).resolves.toBe('all');
    expect(hooks).toEqual([ORDERS, ORDERS]);
  });
});
