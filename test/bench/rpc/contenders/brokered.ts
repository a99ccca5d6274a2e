import { NestFactory } from '@nestjs/core';
import { ClientNats, ClientRedis, Transport, type NatsOptions, type RedisOptions } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import type { Contender } from './contender.js';
import { HOST } from './contender.js';
import { EchoModule } from './nest.js';
import { observed } from './observed.js';

const nats = (port: number): NatsOptions & { options: object } => ({
  transport: Transport.NATS,
  options: { servers: [`nats://${HOST}:${port}`] },
});

const redis = (port: number): RedisOptions & { options: object } => ({
  transport: Transport.REDIS,
  options: { host: HOST, port },
});

/** What is used of both clients; their status types keep them from being one `ClientProxy`. */
interface BrokerClient {
  connect(): Promise<unknown>;
  send<T>(pattern: string, data: unknown): Observable<T>;
  close(): unknown;
}

/** A stock Nest transport through a broker: both sides connect to it, and the port is the broker's. */
function brokered(
  options: (port: number) => NatsOptions | RedisOptions,
  client: (port: number) => BrokerClient,
): Contender {
  return {
    listen: async ({ brokerPort }) => {
      if (brokerPort === undefined) throw new Error('needs a broker');
      const app = await NestFactory.createMicroservice(EchoModule, { ...options(brokerPort), logger: false });
      await app.listen();
      return { port: brokerPort };
    },
    connect: async ({ port }) => {
      const proxy = client(port);
      await proxy.connect();
      return {
        echo: ({ value }) => observed(() => proxy.send<unknown>('echo', value)),
        connections: () => 1,
        close: async () => {
          await proxy.close();
        },
      };
    },
  };
}

export const contenders: Readonly<Record<string, Contender>> = {
  nats: brokered(nats, (port) => new ClientNats(nats(port).options)),
  redis: brokered(redis, (port) => new ClientRedis(redis(port).options)),
};
