import { afterEach } from '@jest/globals';
import { Logger, type INestMicroservice, type Provider, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientTCP, Transport, type TcpClientOptions, type TcpOptions } from '@nestjs/microservices';
import type { Server as NetServer } from 'node:net';
import {
  PooledTcpClient,
  PooledTcpServer,
  type PooledTcpClientOptions,
  type PooledTcpServerOptions,
} from '../../lib/index.js';
import { moduleOf } from './app-module.js';

// Also for what is made outside an application.
Logger.overrideLogger(false);

export { moduleOf };

export interface RunningServer {
  readonly app: INestMicroservice;
  /** The listening socket. */
  readonly netServer: NetServer;
  /** 0 on a Unix socket. */
  readonly port: number;
  close(): Promise<void>;
}

export interface RunningPooledServer extends RunningServer {
  readonly strategy: PooledTcpServer;
}

/** A Nest microservice under `PooledTcpServer`, listening on a port of the system's choice. */
export async function startServer(
  controllers: Type[],
  options: PooledTcpServerOptions = {},
  providers: Provider[] = [],
): Promise<RunningPooledServer> {
  const place = options.path === undefined ? { host: '127.0.0.1', port: 0 } : {};
  const strategy = new PooledTcpServer({ ...place, ...options });
  const app = await NestFactory.createMicroservice(moduleOf(controllers, providers), { strategy, logger: false });
  return { ...(await listen(app, () => strategy.unwrap())), strategy };
}

/** The same under Nest's own TCP server. */
export async function startStockServer(
  controllers: Type[],
  options: TcpOptions['options'] = {},
): Promise<RunningServer> {
  const app = await NestFactory.createMicroservice<TcpOptions>(moduleOf(controllers), {
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port: 0, ...options },
    logger: false,
  });
  return listen(app, () => app.unwrap());
}

async function listen(app: INestMicroservice, netServer: () => NetServer): Promise<RunningServer> {
  try {
    await app.listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  const address = netServer().address();
  return {
    app,
    netServer: netServer(),
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () => app.close(),
  };
}

type Cleaner = () => unknown;

/** What a test has started: closed after it, the newest first, also when it failed halfway. */
export class Scope {
  readonly #cleaners: Cleaner[] = [];

  constructor(hook: (cleanUp: () => Promise<void>) => void = afterEach) {
    hook(() => this.cleanUp());
  }

  defer(cleaner: Cleaner): void {
    this.#cleaners.push(cleaner);
  }

  async server(...args: Parameters<typeof startServer>): Promise<RunningPooledServer> {
    return this.#closing(await startServer(...args));
  }

  async stockServer(...args: Parameters<typeof startStockServer>): Promise<RunningServer> {
    return this.#closing(await startStockServer(...args));
  }

  /** A client of a port on 127.0.0.1, or of what the options say. Not connected yet. */
  client(port: number | undefined, options: PooledTcpClientOptions = {}): PooledTcpClient {
    const client = new PooledTcpClient(port === undefined ? options : { host: '127.0.0.1', port, ...options });
    this.defer(() => {
      client.destroy();
    });
    return client;
  }

  /** Nest's own client. */
  stockClient(port: number, options: TcpClientOptions['options'] = {}): ClientTCP {
    const client = new ClientTCP({ host: '127.0.0.1', port, ...options });
    this.defer(() => {
      client.close();
    });
    return client;
  }

  async cleanUp(): Promise<void> {
    for (let cleaner = this.#cleaners.pop(); cleaner !== undefined; cleaner = this.#cleaners.pop()) await cleaner();
  }

  #closing<T extends RunningServer>(server: T): T {
    this.defer(() => server.close());
    return server;
  }
}
