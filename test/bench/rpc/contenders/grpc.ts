import { fromJSON } from '@grpc/proto-loader';
import { Controller, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientGrpcProxy, GrpcMethod, Transport, type GrpcOptions } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import { LARGE_BYTES, type Payload } from '../payloads.js';
import type { Contender } from './contender.js';
import { HOST } from './contender.js';
import { freePort } from './free-port.js';
import { observed } from './observed.js';

Logger.overrideLogger(false);

const MAX_BYTES = 2 * LARGE_BYTES;

const packageDefinition = fromJSON({
  nested: {
    bench: {
      nested: {
        Order: {
          fields: {
            id: { type: 'uint32', id: 1 },
            customer: { type: 'string', id: 2 },
            email: { type: 'string', id: 3 },
            total: { type: 'double', id: 4 },
            paid: { type: 'bool', id: 5 },
            tags: { rule: 'repeated', type: 'string', id: 6 },
          },
        },
        Orders: {
          fields: { orders: { rule: 'repeated', type: 'Order', id: 1 }, note: { type: 'string', id: 2 } },
        },
        Blob: { fields: { bytes: { type: 'bytes', id: 1 } } },
        Echo: {
          methods: {
            Order: { requestType: 'Order', responseType: 'Order', comment: '' },
            Orders: { requestType: 'Orders', responseType: 'Orders', comment: '' },
            Bytes: { requestType: 'Blob', responseType: 'Blob', comment: '' },
          },
        },
      },
    },
  },
});

interface EchoService {
  order(order: unknown): Observable<unknown>;
  orders(orders: unknown): Observable<unknown>;
  bytes(blob: { bytes: Buffer }): Observable<unknown>;
}

@Controller()
class GrpcEchoController {
  @GrpcMethod('Echo', 'Order')
  order(data: unknown): unknown {
    return data;
  }

  @GrpcMethod('Echo', 'Orders')
  orders(data: unknown): unknown {
    return data;
  }

  @GrpcMethod('Echo', 'Bytes')
  bytes(data: unknown): unknown {
    return data;
  }
}

@Module({ controllers: [GrpcEchoController] })
class GrpcEchoModule {}

function optionsOf(port: number): GrpcOptions['options'] {
  return {
    url: `${HOST}:${port}`,
    package: 'bench',
    packageDefinition,
    maxSendMessageLength: MAX_BYTES,
    maxReceiveMessageLength: MAX_BYTES,
  };
}

const grpc: Contender = {
  listen: async () => {
    // Nest's gRPC server does not say which port it was given.
    const port = await freePort();
    const app = await NestFactory.createMicroservice<GrpcOptions>(GrpcEchoModule, {
      transport: Transport.GRPC,
      options: optionsOf(port),
      logger: false,
    });
    await app.listen();
    return { port };
  },
  connect: ({ port }) => {
    const client = new ClientGrpcProxy(optionsOf(port));
    const service = client.getService<EchoService>('Echo');
    return Promise.resolve({
      echo: (payload) => observed(() => echo(service, payload)),
      connections: () => 1,
      close: () => {
        client.close();
        return Promise.resolve();
      },
    });
  },
};

function echo(service: EchoService, payload: Payload): Observable<unknown> {
  if (payload.form === 'bytes') return service.bytes({ bytes: payload.value });
  return payload.form === 'order' ? service.order(payload.value) : service.orders(payload.value);
}

export const contenders: Readonly<Record<string, Contender>> = { grpc };
