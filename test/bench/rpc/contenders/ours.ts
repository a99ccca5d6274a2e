import { NestFactory } from '@nestjs/core';
import type { AddressInfo } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { PooledTcpClient, PooledTcpServer, nestJson, type PooledTcpClientOptions } from '../../../../lib/index.js';
import type { BenchServer, Call, Contender } from './contender.js';
import { HOST } from './contender.js';
import { EchoModule } from './nest.js';
import { connectionsOf, firstOf, observed } from './observed.js';

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

export async function listenOurs(host = HOST, tls?: TlsOptions): Promise<BenchServer> {
  const strategy = new PooledTcpServer({
    host,
    port: 0,
    tls,
    maxConnections: MAX_CONNECTIONS,
    maxConnectionsPerHost: 0,
    // 64 replies of 4 MiB at once are 256 MiB.
    maxPendingWriteBytes: 1024 * 1024 * 1024,
  });
  const app = await NestFactory.createMicroservice(EchoModule, { strategy, logger: false });
  await app.listen();
  return {
    port: (strategy.unwrap().address() as AddressInfo).port,
    connections: () => connectionsOf(strategy.unwrap()),
  };
}

function ours(caller: Caller, options: PooledTcpClientOptions = {}): Contender {
  return {
    listen: ({ host }) => listenOurs(host),
    connect: async ({ host = HOST, port, connections }) => {
      const client = new PooledTcpClient({
        host,
        port,
        ...options,
        ...(connections === undefined ? undefined : { pool: { min: connections, max: connections } }),
      });
      await client.connect();
      return {
        echo: ({ value }) => caller(client, 'echo', value),
        large: (form) => caller(client, 'large', form),
        stream: (unread) => (unread ? unreadStream(client) : firstOf(client.send('endless-paced', {}))),
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

/** One item of an endless stream is taken, and then no other. */
async function unreadStream(client: PooledTcpClient): Promise<void> {
  const iterator = client.stream('endless-paced', {})[Symbol.asyncIterator]();
  unread.add(iterator);
  await iterator.next();
}

/** Kept, so that no collection of an iterator ends its stream. */
const unread = new Set<AsyncIterator<unknown>>();

export const contenders: Readonly<Record<string, Contender>> = {
  'ours-request': ours(byRequest),
  'ours-send': ours(bySend),
  'ours-msgpack': ours(byRequest, { codec: 'msgpack' }),
  'ours-stock-wire': ours(byRequest, { protocol: nestJson() }),
};
