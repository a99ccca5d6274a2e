import { Injectable, Module, type DynamicModule, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, ClientsModule, type ClientProxy } from '@nestjs/microservices';
import { writeSync } from 'node:fs';
import { firstValueFrom } from 'rxjs';
import { PooledTcpClient, PooledTcpModule, type PooledTcpClientOptions } from '../../../lib/index.js';
import { LINES_FD } from '../app-process.js';

/** How the client is made. */
export type ClientKind = 'register' | 'registerAsync' | 'forRoot' | 'factory provider';

/**
 * A service with nothing but a client, for the order of its shutdown: its call is in flight when the signal comes. It
 * writes down what happens, in order. Arguments: how the client is made, and the port of its server.
 */
const [, , kind, port] = process.argv as [string, string, ClientKind, string];
const options: PooledTcpClientOptions = { host: '127.0.0.1', port: Number(port), name: 'orders' };

function note(what: string): void {
  writeSync(LINES_FD, `${what}\n`);
}

/** Notes when Nest's hooks run, and when the pool under it has closed. */
class NotingClient extends PooledTcpClient {
  override beforeApplicationShutdown(): void {
    note('client told');
    super.beforeApplicationShutdown();
  }

  override async close(...args: unknown[]): Promise<void> {
    note(`client closing ${args.length === 0 ? 'by itself' : String(args[0])}`);
    await super.close();
    note(`client closed with ${this.stats().total} connections`);
  }
}

@Injectable()
class Watch {
  onModuleDestroy(): void {
    note('module destroyed');
  }

  beforeApplicationShutdown(signal?: string): void {
    note(`before shutdown ${signal ?? 'by hand'}`);
  }
}

@Module({})
class OrdersModule {}

const WAYS: Readonly<Record<ClientKind, () => DynamicModule>> = {
  register: () => ClientsModule.register([{ name: 'ORDERS', customClass: NotingClient, options }]),
  registerAsync: () =>
    ClientsModule.registerAsync([{ name: 'ORDERS', useFactory: () => ({ customClass: NotingClient, options }) }]),
  forRoot: () => PooledTcpModule.forRoot(options),
  'factory provider': () => ({
    module: OrdersModule,
    providers: [
      { provide: 'ORDERS', useFactory: () => ClientProxyFactory.create({ customClass: NotingClient, options }) },
    ],
    exports: ['ORDERS'],
  }),
};

@Module({ imports: [WAYS[kind]()], providers: [Watch] })
class AppModule {}

const app: INestApplicationContext = await NestFactory.createApplicationContext(AppModule, { logger: false });
app.enableShutdownHooks();
const client = app.get<ClientProxy>(kind === 'forRoot' ? 'PooledTcpPool:orders' : 'ORDERS', { strict: false });
firstValueFrom(client.send<string>('hold', {})).then(
  (answer) => {
    note(`answered ${answer}`);
  },
  (error: unknown) => {
    note(`failed ${String(error)}`);
  },
);
process.on('message', (message: { close?: true }) => {
  if (message.close !== true) return;
  void app.close().then(() => {
    note('application closed');
    process.disconnect();
  });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ isReady: true });
