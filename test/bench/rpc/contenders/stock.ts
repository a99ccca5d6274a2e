import { NestFactory } from '@nestjs/core';
import { ClientTCP, Transport, type TcpOptions } from '@nestjs/microservices';
import type { AddressInfo, Server } from 'node:net';
import type { Call, Contender, Done } from './contender.js';
import { HOST } from './contender.js';
import { EchoModule } from './nest.js';
import { connectionsOf, firstOf, observed } from './observed.js';

const listen: Contender['listen'] = async ({ host = HOST }) => {
  const app = await NestFactory.createMicroservice<TcpOptions>(EchoModule, {
    transport: Transport.TCP,
    options: { host, port: 0 },
    logger: false,
  });
  await app.listen();
  const server = app.unwrap<Server>();
  return { port: (server.address() as AddressInfo).port, connections: () => connectionsOf(server) };
};

const stock: Contender = {
  listen,
  connect: async ({ host = HOST, port }) => {
    const client = new ClientTCP({ host, port });
    await client.connect();
    const call = (pattern: string, data: unknown): Call => observed(() => client.send<unknown>(pattern, data));
    return {
      echo: ({ value }) => call('echo', value),
      large: (form) => call('large', form),
      stream: (unread) => (unread ? undefined : firstOf(client.send('endless', {}))),
      connections: () => 1,
      close: () => {
        client.close();
        return Promise.resolve();
      },
    };
  },
  connectIdle: async (port, count) => {
    const AT_ONCE = 100;
    for (let i = 0; i < count; i += AT_ONCE) {
      const clients = Array.from({ length: Math.min(AT_ONCE, count - i) }, () => new ClientTCP({ host: HOST, port }));
      await Promise.all(clients.map((client) => client.connect()));
    }
  },
};

/** A client made for each call and closed after it. */
const stockShort: Contender = {
  listen,
  connect: ({ port }) => {
    let open = 0;
    let mostOpen = 0;
    const call = (data: unknown): Call => {
      return (done) => {
        const client = new ClientTCP({ host: HOST, port });
        open += 1;
        mostOpen = Math.max(mostOpen, open);
        const over: Done = (error, reply) => {
          open -= 1;
          client.close();
          done(error, reply);
        };
        observed(() => client.send<unknown>('echo', data))(over);
      };
    };
    return Promise.resolve({
      echo: ({ value }) => call(value),
      connections: () => mostOpen,
      close: () => Promise.resolve(),
    });
  },
};

export const contenders: Readonly<Record<string, Contender>> = { stock, 'stock-short': stockShort };
