import { NestFactory } from '@nestjs/core';
import { Server, TcpContext, type CustomTransportStrategy, type TcpSocket } from '@nestjs/microservices';
import type { Socket } from 'node:net';
import { BareWriter, readFrames } from './bare-frames.js';
import { bare } from './bare.js';
import type { Contender } from './contender.js';
import { EchoModule } from './nest.js';

/** Bare net in front of the handlers that Nest makes of a controller: the limit of whatever runs those. */
class BareStrategy extends Server implements CustomTransportStrategy {
  listen(callback: () => void): void {
    callback();
  }

  close(): void {
    // The process ends with the benchmark.
  }

  on(): void {
    // It has no events.
  }

  unwrap<T>(): T {
    return this as unknown as T;
  }

  /** Answers come in order, since the handler takes the same way each time. */
  readonly serve = (socket: Socket): void => {
    const writer = new BareWriter(socket);
    const handler = this.messageHandlers.get('echo');
    readFrames(socket, (data) => {
      const context = new TcpContext([socket as unknown as TcpSocket, 'echo', {}]);
      void handler?.(data, context).then((answer: unknown) => {
        writer.write(answer);
      });
    });
  };
}

const strategy = new BareStrategy();
const contender = bare(1, strategy.serve);

export const contenders: Readonly<Record<string, Contender>> = {
  'bare-nest': {
    ...contender,
    listen: async (asked) => {
      const app = await NestFactory.createMicroservice(EchoModule, { strategy, logger: false });
      await app.listen();
      return await contender.listen(asked);
    },
  },
};
