import { NestFactory } from '@nestjs/core';
import type { AddressInfo } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { PooledTcpClient, PooledTcpServer, nestJson, type PooledTcpClientOptions } from '../../../../lib/index.js';
import type { BenchServer, Call, Contender } from './contender.js';
import { HOST } from './contender.js';
import { EchoModule } from './nest.js';
import { observed } from './observed.js';

/** Enough for the idle connections of the memory case. */
const MAX_CONNECTIONS = 20_000;

type Caller = (client: PooledTcpClient, pattern: string, data: unknown) => Call;

const byRequest: Caller = (client, pattern, data) => (done) => {
  client.request(pattern, data).then(
    (reply) => {
      done(undefined, reply);
    },
    (error: unknown) => {
      done(error);
    },
  );
};

const bySend: Caller = (client, pattern, data) => observed(() => client.send<unknown>(pattern, data));

export async function listenOurs(tls?: TlsOptions): Promise<BenchServer> {
  const strategy = new PooledTcpServer({ host: HOST, port: 0, tls, maxConnections: MAX_CONNECTIONS });
  const app = await NestFactory.createMicroservice(EchoModule, { strategy, logger: false });
  await app.listen();
  return { port: (strategy.unwrap().address() as AddressInfo).port };
}

function ours(caller: Caller, options: PooledTcpClientOptions = {}): Contender {
  return {
    listen: () => listenOurs(),
    connect: async ({ port, connections }) => {
      const client = new PooledTcpClient({
        host: HOST,
        port,
        ...options,
        ...(connections === undefined ? undefined : { pool: { min: connections, max: connections } }),
      });
      await client.connect();
      return {
        echo: ({ value }) => caller(client, 'echo', value),
        large: (form) => caller(client, 'large', form),
        connections: () => client.stats().total,
        close: () => client.close(),
      };
    },
    connectIdle: async (port, count) => {
      const pool = { min: count, max: count, prewarmTimeoutMs: 120_000 };
      await new PooledTcpClient({ host: HOST, port, ...options, pool }).connect();
    },
  };
}

export const contenders: Readonly<Record<string, Contender>> = {
  'ours-request': ours(byRequest),
  'ours-send': ours(bySend),
  'ours-stock-wire': ours(byRequest, { protocol: nestJson() }),
};
