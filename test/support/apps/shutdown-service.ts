import { Controller, Inject, Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Payload, type AsyncMicroserviceOptions } from '@nestjs/microservices';
import { writeSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { PooledTcpServer } from '../../../lib/index.js';
import { LINES_FD } from '../app-process.js';

/** How the server is put into its application. */
export type ShutdownKind = 'strategy' | 'provider' | 'factory' | 'hybrid';

/**
 * A service with a database, for the order of a shutdown: its handlers wait for a word of the test, then use the
 * database. It writes down what happens, in order. The first argument says how the server is put into it.
 */
const kind = process.argv[2] as ShutdownKind;

function note(what: string): void {
  writeSync(LINES_FD, `${what}\n`);
}

/** In a module of its own, as databases are; closed when Nest says so. */
@Injectable()
class Database {
  #isOpen = true;

  query(): string {
    if (!this.#isOpen) throw new Error('the database is closed');
    return 'rows';
  }

  onModuleDestroy(): void {
    this.#isOpen = false;
    note('database closed');
  }
}

@Module({ providers: [Database], exports: [Database] })
class DatabaseModule {}

const waiting: (() => void)[] = [];

@Controller()
class OrdersController {
  constructor(@Inject(Database) private readonly database: Database) {}

  @MessagePattern('orders')
  async orders(@Payload() data: { tag: string }): Promise<unknown> {
    note(`began ${data.tag}`);
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
    });
    const rows = this.database.query();
    note(`answered ${data.tag}`);
    return { tag: data.tag, rows };
  }
}

const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0, drainTimeoutMs: 8_000 });

@Module({
  imports: [DatabaseModule],
  controllers: [OrdersController],
  providers: kind === 'strategy' ? [] : [{ provide: PooledTcpServer, useValue: strategy }],
})
class AppModule {}

async function start(): Promise<INestApplicationContext> {
  if (kind === 'hybrid') {
    const app = await NestFactory.create(AppModule, { logger: false });
    app.connectMicroservice({ strategy });
    app.enableShutdownHooks();
    await app.startAllMicroservices();
    await app.listen(0, '127.0.0.1');
    return app;
  }
  const options: AsyncMicroserviceOptions = {
    inject: [PooledTcpServer],
    useFactory: (server: PooledTcpServer) => ({ strategy: server }),
  };
  const app =
    kind === 'factory'
      ? await NestFactory.createMicroservice<AsyncMicroserviceOptions>(AppModule, { ...options, logger: false })
      : await NestFactory.createMicroservice(AppModule, { strategy, logger: false });
  app.enableShutdownHooks();
  await app.listen();
  return app;
}

const app = await start();
process.on('message', (message: { close?: true; answer?: true; health?: true }) => {
  if (message.health === true) process.send?.({ state: strategy.stats().state });
  if (message.answer === true) for (const go of waiting.splice(0)) go();
  if (message.close === true)
    void app.close().then(() => {
      note('application closed');
      process.disconnect();
    });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: (strategy.unwrap().address() as AddressInfo).port });
