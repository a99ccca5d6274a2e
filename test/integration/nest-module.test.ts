import { describe, expect, it } from '@jest/globals';
import {
  Controller,
  Inject,
  Injectable,
  Module,
  type DynamicModule,
  type LoggerService,
  type Provider,
  type Type,
} from '@nestjs/common';
import { ClientProxyFactory, ClientsModule, MessagePattern, Payload, type ClientProxy } from '@nestjs/microservices';
import { Test, type TestingModule } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import {
  getPoolToken,
  InjectPool,
  PooledClient,
  PooledTcpClient,
  PooledTcpError,
  PooledTcpModule,
  type PooledTcpClientOptions,
  type PooledTcpModuleAsyncOptions,
  type PooledTcpOptionsFactory,
} from '../../lib/index.js';
import { Scope } from '../support/nest-app.js';
import { ConnectionCount, freePort, startRawServer, until } from '../support/sockets.js';

const scope = new Scope();
/** Calls of `hold` that wait to be let go. */
const held: (() => void)[] = [];

@Controller()
class PeerController {
  @MessagePattern('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }

  @MessagePattern('hold')
  hold(): Promise<string> {
    return new Promise((resolve) => {
      held.push(() => {
        resolve('finished');
      });
    });
  }
}

const SILENT: LoggerService = { log: () => undefined, error: () => undefined, warn: () => undefined };

type Imports = (DynamicModule | Type)[];

/** A compiled and initialised application module. */
async function boot(imports: Imports, providers: Provider[] = []): Promise<TestingModule> {
  const moduleRef = await Test.createTestingModule({ imports, providers }).setLogger(SILENT).compile();
  scope.defer(() => moduleRef.close());
  await moduleRef.init();
  return moduleRef;
}

/** What went wrong while an application was compiled or initialised. */
async function bootFailure(imports: Imports): Promise<unknown> {
  const outcome: unknown = await boot(imports).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(PooledTcpError);
  return outcome;
}

async function startPeer(): Promise<{ host: string; port: number }> {
  const { port } = await scope.server([PeerController]);
  return { host: '127.0.0.1', port };
}

@Injectable()
class Shop {
  constructor(
    @InjectPool('orders') readonly orders: PooledTcpClient,
    @InjectPool('stock') readonly stock: PooledTcpClient,
    readonly byClass: PooledTcpClient,
    @InjectPool() readonly byDefault: PooledTcpClient,
  ) {}
}

describe('forRoot()', () => {
  it('provides named pools by name, and the default pool also by its class', async () => {
    const [one, two, three] = [await startPeer(), await startPeer(), await startPeer()];
    const app = await boot(
      [
        PooledTcpModule.forRoot({ name: 'orders', ...one }),
        PooledTcpModule.forRoot({ name: 'stock', ...two }),
        PooledTcpModule.forRoot(three),
      ],
      [Shop],
    );
    const { orders, stock, byClass, byDefault } = app.get(Shop);
    expect([orders.name, stock.name, byClass.name]).toEqual(['orders', 'stock', 'default']);
    expect(byClass).toBe(byDefault);
    expect(orders.stats().endpoints[0]?.address).toBe(`127.0.0.1:${one.port}`);
    await expect(orders.request('sum', [1, 2])).resolves.toBe(3);
    await expect(stock.request('sum', [3, 4])).resolves.toBe(7);
    await expect(firstValueFrom(byClass.send<number>('sum', [5, 6]))).resolves.toBe(11);
  });

  it('is seen in every module unless isGlobal is false', async () => {
    const peer = await startPeer();
    @Injectable()
    class Deep {
      constructor(@InjectPool('orders') readonly orders: PooledTcpClient) {}
    }
    @Module({ providers: [Deep] })
    class DeepModule {}
    const app = await boot([PooledTcpModule.forRoot({ name: 'orders', ...peer }), DeepModule]);
    await expect(app.get(Deep, { strict: false }).orders.request('sum', [1])).resolves.toBe(1);

    const local = PooledTcpModule.forRoot({ name: 'orders', isGlobal: false, ...peer });
    await expect(boot([local, DeepModule])).rejects.toThrow(/can't resolve dependencies.*Deep/s);
  });

  it('can be overridden in tests', async () => {
    const fake = { request: () => Promise.resolve('fake') };
    const moduleRef = await Test.createTestingModule({
      imports: [PooledTcpModule.forRoot({ name: 'orders', host: '127.0.0.1', port: await freePort() })],
    })
      .overrideProvider(getPoolToken('orders'))
      .useValue(fake)
      .compile();
    scope.defer(() => moduleRef.close());
    await moduleRef.init();
    expect(moduleRef.get(getPoolToken('orders'))).toBe(fake);
  });
});

describe('forRootAsync()', () => {
  let peer: { host: string; port: number };

  @Injectable()
  class Settings implements PooledTcpOptionsFactory {
    createPooledTcpOptions(): Promise<PooledTcpClientOptions> {
      return Promise.resolve(peer);
    }
  }
  @Module({ providers: [Settings, { provide: 'PLACE', useFactory: () => peer }], exports: [Settings, 'PLACE'] })
  class SettingsModule {}

  it.each<[string, PooledTcpModuleAsyncOptions]>([
    [
      'useFactory with what it injects',
      { imports: [SettingsModule], inject: ['PLACE'], useFactory: (place: PooledTcpClientOptions) => place },
    ],
    ['an async useFactory', { useFactory: async () => Promise.resolve(peer) }],
    ['useClass', { useClass: Settings }],
    ['useExisting', { imports: [SettingsModule], useExisting: Settings }],
  ])('takes its options from %s', async (_what, source) => {
    peer = await startPeer();
    const app = await boot([PooledTcpModule.forRootAsync({ name: 'orders', ...source })]);
    const client = app.get<PooledTcpClient>(getPoolToken('orders'), { strict: false });
    expect(client.name).toBe('orders');
    await expect(client.request('sum', [1, 2])).resolves.toBe(3);
  });

  it('without a name is the default pool', async () => {
    peer = await startPeer();
    const app = await boot([PooledTcpModule.forRootAsync({ useClass: Settings })]);
    expect(app.get(PooledTcpClient, { strict: false })).toBe(app.get(getPoolToken(), { strict: false }));
  });

  it('refuses options with another name, and none at all', async () => {
    const useFactory = (): PooledTcpClientOptions => ({ name: 'other', port: 1 });
    await expect(bootFailure([PooledTcpModule.forRootAsync({ name: 'orders', useFactory })])).resolves.toMatchObject({
      code: 'PTCP_OPTION_CONFLICT',
    });
    expect(() => PooledTcpModule.forRootAsync({})).toThrow(expect.objectContaining({ code: 'PTCP_OPTION_CONFLICT' }));
  });
});

describe('bad options', () => {
  it.each<[string, object]>([
    ['PTCP_OPTION_INVALID', { port: 'four thousand' }],
    ['PTCP_OPTION_INVALID', { port: 4000, pool: { min: -1 } }],
    ['PTCP_OPTION_UNKNOWN', { port: 4000, pool: { maximum: 3 } }],
    ['PTCP_OPTION_CONFLICT', { port: 4000, pool: { min: 5, max: 2 } }],
    ['PTCP_OPTION_CONFLICT', {}],
  ])('fail the start with %s: %j', async (code, options) => {
    await expect(bootFailure([PooledTcpModule.forRoot(options)])).resolves.toMatchObject({ code });
    await expect(bootFailure([PooledTcpModule.forRootAsync({ useFactory: () => options })])).resolves.toMatchObject({
      code,
    });
  });
});

describe('forFeature()', () => {
  it('provides classes that are their own tokens, also with a constructor of their own', async () => {
    const peer = await startPeer();

    @Injectable()
    class Vat {
      readonly rate = 0.2;
    }
    @PooledClient({ name: 'orders', ...peer })
    class OrdersClient extends PooledTcpClient {
      total(prices: number[]): Promise<number> {
        return this.request('sum', prices);
      }
    }
    @PooledClient({ name: 'bills', ...peer })
    class BillsClient extends PooledTcpClient {
      constructor(
        readonly vat: Vat,
        @Inject('SHOP') readonly shop: string,
      ) {
        super();
      }
    }
    @Module({ providers: [Vat, { provide: 'SHOP', useValue: 'corner' }], exports: [Vat, 'SHOP'] })
    class SharedModule {}
    const feature = PooledTcpModule.forFeature([OrdersClient, BillsClient]);
    const app = await boot([{ ...feature, imports: [SharedModule] }]);

    const orders = app.get(OrdersClient, { strict: false });
    expect(orders.name).toBe('orders');
    expect(orders.stats().total).toBe(2);
    await expect(orders.total([1, 2, 3])).resolves.toBe(6);
    expect(app.get(getPoolToken('orders'), { strict: false })).toBe(orders);
    const bills = app.get(BillsClient, { strict: false });
    expect(bills).toMatchObject({ name: 'bills', shop: 'corner', vat: { rate: 0.2 } });
    await expect(bills.request('sum', [1])).resolves.toBe(1);
  });

  it('refuses a class without the decorator', () => {
    class Bare extends PooledTcpClient {}
    expect(() => PooledTcpModule.forFeature([Bare])).toThrow(expect.objectContaining({ code: 'PTCP_OPTION_CONFLICT' }));
  });
});

describe('as a stock client', () => {
  it.each<[string, (options: PooledTcpClientOptions) => DynamicModule]>([
    ['register()', (options) => ClientsModule.register([{ name: 'ORDERS', customClass: PooledTcpClient, options }])],
    [
      'registerAsync()',
      (options) =>
        ClientsModule.registerAsync([
          { name: 'ORDERS', useFactory: () => ({ customClass: PooledTcpClient, options }) },
        ]),
    ],
  ])('ClientsModule.%s makes one, warm at boot and closed at shutdown', async (_how, register) => {
    const server = await scope.server([PeerController]);
    const count = new ConnectionCount(server.netServer);
    const app = await boot([register({ host: '127.0.0.1', port: server.port })]);
    const client = app.get<ClientProxy>('ORDERS', { strict: false });
    expect(client).toBeInstanceOf(PooledTcpClient);
    expect(count.open).toBe(2);
    await expect(firstValueFrom(client.send<number>('sum', [1, 2]))).resolves.toBe(3);
    await app.close();
    await until(() => count.open === 0);
  });

  it('ClientProxyFactory makes one', async () => {
    const options = await startPeer();
    const client = ClientProxyFactory.create({ customClass: PooledTcpClient, options });
    await expect(firstValueFrom(client.send<number>('sum', [1, 2]))).resolves.toBe(3);
    await client.close();
  });
});

describe('prewarm', () => {
  it('required: boot fails when nobody listens, within its time', async () => {
    const port = await freePort();
    const startedAt = performance.now();
    const failure = await bootFailure([
      PooledTcpModule.forRoot({ host: '127.0.0.1', port, pool: { prewarmTimeoutMs: 300 } }),
    ]);
    expect(failure).toMatchObject({ code: 'PTCP_POOL_PREWARM_FAILED', cause: { code: 'PTCP_CONNECT_FAILED' } });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  it('required: boot fails when the peer accepts and never answers', async () => {
    const silent = await startRawServer();
    scope.defer(() => silent.close());
    const pool = { prewarmTimeoutMs: 300, connectTimeoutMs: 20 };
    const failure = await bootFailure([PooledTcpModule.forRoot({ host: '127.0.0.1', port: silent.port, pool })]);
    expect(failure).toMatchObject({ code: 'PTCP_POOL_PREWARM_FAILED', cause: { code: 'PTCP_CONNECT_TIMEOUT' } });
  });

  it('required: boot goes on when one of two endpoints answers', async () => {
    const { port } = await startPeer();
    const endpoints = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${port}`];
    const app = await boot([PooledTcpModule.forRoot({ endpoints })]);
    expect(app.get(PooledTcpClient, { strict: false }).stats().endpoints).toMatchObject([
      { state: 'failing', total: 0 },
      { state: 'ready', total: 2 },
    ]);
  });

  it('background: boot goes on, and the pool fills once the peer is there', async () => {
    const port = await freePort();
    const app = await boot([
      PooledTcpModule.forRoot({ host: '127.0.0.1', port, pool: { prewarm: 'background' }, backoff: { maxMs: 100 } }),
    ]);
    const client = app.get(PooledTcpClient, { strict: false });
    expect(client.stats().total).toBe(0);
    await scope.server([PeerController], { port });
    await until(() => client.stats().total === 2);
  });

  it('false: nothing is dialled before the first call', async () => {
    const server = await scope.server([PeerController]);
    const count = new ConnectionCount(server.netServer);
    const app = await boot([
      PooledTcpModule.forRoot({ host: '127.0.0.1', port: server.port, pool: { prewarm: false } }),
    ]);
    const client = app.get(PooledTcpClient, { strict: false });
    expect(client.stats()).toMatchObject({ total: 0, connecting: 0 });
    expect(count.total).toBe(0);
    await expect(client.request('sum', [1])).resolves.toBe(1);
    expect(count.total).toBeGreaterThan(0);
  });
});

describe('shutdown', () => {
  it('app.close() lets a call in flight finish, refuses new ones, and then closes', async () => {
    const server = await scope.server([PeerController]);
    const count = new ConnectionCount(server.netServer);
    const app = await boot([PooledTcpModule.forRoot({ host: '127.0.0.1', port: server.port })]);
    const client = app.get(PooledTcpClient, { strict: false });
    const call = client.request('hold', {});
    await until(() => held.length > 0);
    const closing = app.close();
    await until(() => client.isShuttingDown);
    await expect(client.request('sum', [1])).rejects.toMatchObject({ code: 'PTCP_POOL_CLOSED', sent: false });
    held.pop()?.();
    await expect(call).resolves.toBe('finished');
    await closing;
    await until(() => count.open === 0);
    expect(client.stats()).toMatchObject({ total: 0, inFlight: 0 });
  });

  it('a call that never ends is given up after drainTimeoutMs', async () => {
    const { port } = await scope.server([PeerController]);
    const client = scope.client(port, { drainTimeoutMs: 20 });
    const call = client.request('hold', {}).catch((error: unknown) => error);
    await until(() => held.length > 0);
    await Promise.all([client.close(), client.close()]);
    await expect(call).resolves.toMatchObject({ code: 'PTCP_POOL_CLOSED', sent: true });
    held.length = 0;
  });

  it('status and events follow the connections', async () => {
    const { port } = await scope.server([PeerController]);
    const client = scope.client(port);
    const seen: string[] = [];
    client.status.subscribe((status) => seen.push(status));
    client.on('connect', () => seen.push('connect'));
    client.on('disconnect', () => seen.push('disconnect'));
    await client.connect();
    await client.close();
    expect(seen).toEqual(['disconnected', 'connected', 'connect', 'disconnected', 'disconnect']);
    await expect(client.connect()).rejects.toMatchObject({ code: 'PTCP_POOL_CLOSED' });
  });
});
