import { Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload, Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { writeSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PooledTcpContext, PooledTcpServer, type PooledTcpServerOptions } from '../../../lib/index.js';
import { moduleOf } from '../app-module.js';
import { LINES_FD } from '../app-process.js';

/**
 * A server in a process of its own, to be killed and stopped. It writes down the tag of every call before it
 * answers it, synchronously: what was handled is known also of a process that is killed in the next instant.
 * Arguments: the server's options, and `stock` for Nest's own transport, which has no others than host and port.
 */
@Controller()
class EchoController {
  @MessagePattern('echo')
  async echo(@Payload() data: { tag: string; delayMs?: number }): Promise<{ tag: string }> {
    note(data.tag);
    if (data.delayMs !== undefined) await delay(data.delayMs);
    return { tag: data.tag };
  }

  /** Answers when the caller gives up, that is never. */
  @MessagePattern('hold')
  hold(@Payload() data: { tag: string }, @Ctx() context: PooledTcpContext): Promise<{ tag: string }> {
    note(data.tag);
    return new Promise((resolve) => {
      context.getSignal().addEventListener('abort', () => {
        resolve({ tag: data.tag });
      });
    });
  }
}

function note(tag: string): void {
  writeSync(LINES_FD, `${tag}\n`);
}

// Nobody is left to serve.
process.on('disconnect', () => process.exit(0));
const [, , given = '{}', kind = 'ours'] = process.argv;
const options: PooledTcpServerOptions = {
  host: '127.0.0.1',
  port: 0,
  ...(JSON.parse(given) as PooledTcpServerOptions),
};
const { host = '127.0.0.1', port = 0 } = options;
const app = await NestFactory.createMicroservice<MicroserviceOptions>(moduleOf([EchoController]), {
  ...(kind === 'ours'
    ? { strategy: new PooledTcpServer(options) }
    : { transport: Transport.TCP, options: { host, port } }),
  logger: false,
});
app.enableShutdownHooks();
await app.listen();
process.send?.({ port: (app.unwrap<Server>().address() as AddressInfo).port });
