import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Client, ClientProxyFactory, ClientsModule, MessagePattern, type ClientProxy } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { PooledTcpClient, type PooledTcpClientOptions } from '../../lib/index.js';
import { AppProcess } from '../support/app-process.js';
import type { ClientKind } from '../support/apps/client-service.js';
import { Scope } from '../support/nest-app.js';
import { ConnectionCount, until } from '../support/sockets.js';

const scope = new Scope();
/** Calls of `hold` that wait to be let go. */
const held: (() => void)[] = [];
let service: AppProcess | undefined;
afterEach(async () => {
  await service?.kill();
  service = undefined;
});

@Controller()
class PeerController {
  @MessagePattern('who')
  who(): string {
    return 'orders';
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

async function startPeer() {
  const server = await scope.server([PeerController]);
  const options: PooledTcpClientOptions = { host: '127.0.0.1', port: server.port };
  return { options, port: server.port, count: new ConnectionCount(server.netServer) };
}

const ask = (client: ClientProxy): Promise<string> => firstValueFrom(client.send<string>('who', {}));

describe('the client', () => {
  it('is put into a property by @Client(), and closed with the application', async () => {
    const { options, count } = await startPeer();
    // Nest's typing of this decorator alone does not know custom classes.
    const metadata: object = { customClass: PooledTcpClient, options };
    @Injectable()
    class Shop {
      @Client(metadata) readonly orders!: ClientProxy;
    }
    @Module({ providers: [Shop] })
    class ShopModule {}
    const app = await NestFactory.create(ShopModule, { logger: false });
    scope.defer(() => app.close());
    await app.init();
    const { orders } = app.get(Shop);
    expect(orders).toBeInstanceOf(PooledTcpClient);
    await expect(ask(orders)).resolves.toBe('orders');
    expect(count.open).toBeGreaterThan(0);
    await app.close();
    await until(() => count.open === 0);
    expect((orders as PooledTcpClient).isShuttingDown).toBe(true);
  });

  it('of registerAsync() takes its options from useClass and what is injected', async () => {
    const { options, count } = await startPeer();
    @Injectable()
    class Settings {
      createClientOptions() {
        return { customClass: PooledTcpClient, options };
      }
    }
    @Module({
      imports: [
        ClientsModule.registerAsync({
          isGlobal: true,
          clients: [
            { name: 'BY_CLASS', useClass: Settings },
            {
              name: 'BY_INJECTION',
              extraProviders: [{ provide: 'PLACE', useValue: options }],
              inject: ['PLACE'],
              useFactory: (place: PooledTcpClientOptions) => ({ customClass: PooledTcpClient, options: place }),
            },
          ],
        }),
      ],
    })
    class ShopModule {}
    const app = await NestFactory.createApplicationContext(ShopModule, { logger: false });
    scope.defer(() => app.close());
    for (const name of ['BY_CLASS', 'BY_INJECTION'])
      await expect(ask(app.get<ClientProxy>(name))).resolves.toBe('orders');
    await app.close();
    await until(() => count.open === 0);
  });

  it('of ClientProxyFactory can be closed with a signal for an argument, as ClientsModule does it', async () => {
    const { options, count } = await startPeer();
    const client = ClientProxyFactory.create({ customClass: PooledTcpClient, options });
    await expect(ask(client)).resolves.toBe('orders');
    const close = client.close.bind(client) as (signal: string) => Promise<void>;
    await Promise.all([close('SIGTERM'), close('SIGTERM')]);
    await until(() => count.open === 0);
  });
});

describe('one client in application after application', () => {
  const module = (options: PooledTcpClientOptions) => {
    @Module({ imports: [ClientsModule.register([{ name: 'ORDERS', customClass: PooledTcpClient, options }])] })
    class ShopModule {}
    return ShopModule;
  };

  it.each(['required', 'background', false] as const)(
    'is open in each and closed after each, as the stock client is, prewarm: %p',
    async (prewarm) => {
      const { options, count } = await startPeer();
      const ShopModule = module({ ...options, pool: { prewarm } });
      const clients = new Set<ClientProxy>();
      for (let round = 0; round < 3; round++) {
        const app = await NestFactory.createApplicationContext(ShopModule, { logger: false });
        scope.defer(() => app.close());
        const client = app.get<PooledTcpClient>('ORDERS', { strict: false });
        clients.add(client);
        expect(client.isShuttingDown).toBe(false);
        await expect(ask(client)).resolves.toBe('orders');
        await app.close();
        await until(() => count.open === 0);
        expect(client.isShuttingDown).toBe(true);
        await expect(ask(client)).rejects.toMatchObject({ code: 'PTCP_POOL_CLOSED' });
      }
      expect(clients.size).toBe(1);
    },
  );

  it('waits for the drain of the one before', async () => {
    const { options, count } = await startPeer();
    const ShopModule = module(options);
    const first = await NestFactory.createApplicationContext(ShopModule, { logger: false });
    const client = first.get<PooledTcpClient>('ORDERS', { strict: false });
    const call = client.request('hold', {});
    await until(() => held.length === 1);
    const closing = first.close();
    await until(() => client.isShuttingDown);
    const starting = NestFactory.createApplicationContext(ShopModule, { logger: false });
    scope.defer(async () => (await starting).close());
    held.pop()?.();
    await expect(call).resolves.toBe('finished');
    await closing;
    await starting;
    await expect(ask(client)).resolves.toBe('orders');
    expect(count.open).toBe(2);
  });
});

describe('at the end of its application', () => {
  /** A service whose only call is in flight, and what it writes down. */
  async function busyService(kind: ClientKind) {
    const peer = await startPeer();
    const lines: string[] = [];
    const running = await AppProcess.start({
      app: 'client-service',
      args: [kind, String(peer.port)],
      onLine: (line) => {
        lines.push(line);
      },
    });
    service = running;
    await until(() => held.length === 1);
    return { running, lines, count: peer.count };
  }

  it.each([
    ['register', 'app.close()'],
    ['registerAsync', 'app.close()'],
    ['factory provider', 'app.close()'],
    ['register', 'SIGTERM'],
    ['registerAsync', 'SIGTERM'],
    ['factory provider', 'SIGTERM'],
  ] as const)(
    'a client of %s is told first, and closes last, once its call has been answered, on %s',
    async (kind, how) => {
      const { running, lines, count } = await busyService(kind);
      if (how === 'SIGTERM') running.signal('SIGTERM');
      else running.tell({ close: true });
      await until(() => lines.some((line) => line.startsWith('client closing')));
      expect(lines).not.toContain('answered finished');
      held.pop()?.();
      await running.exited;
      // Nest calls the hook of ClientsModule with the signal; our own has none.
      const argument = kind === 'factory provider' ? 'by itself' : how === 'SIGTERM' ? 'SIGTERM' : 'undefined';
      const told = lines.filter((line) => line === 'client told' || line.startsWith('before shutdown'));
      expect(lines[0]).toBe('module destroyed');
      expect(new Set(told)).toEqual(
        new Set(['client told', `before shutdown ${how === 'SIGTERM' ? 'SIGTERM' : 'by hand'}`]),
      );
      const rest = lines.slice(3).filter((line) => line !== 'application closed');
      expect(rest).toEqual([`client closing ${argument}`, 'answered finished', 'client closed with 0 connections']);
      await until(() => count.open === 0);
    },
    20_000,
  );

  it('a pool of the module does the same on SIGTERM', async () => {
    const { running, lines } = await busyService('forRoot');
    running.signal('SIGTERM');
    await until(() => lines.includes('before shutdown SIGTERM'));
    held.pop()?.();
    await running.exited;
    expect(lines).toEqual(['module destroyed', 'before shutdown SIGTERM', 'answered finished']);
  }, 20_000);
});
