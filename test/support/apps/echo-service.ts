import { Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { writeSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PooledTcpContext, PooledTcpServer, type PooledTcpServerOptions } from '../../../lib/index.js';
import { moduleOf } from '../app-module.js';
import { LINES_FD } from '../app-process.js';

/**
 * A server in a process of its own, to be killed and stopped. It writes down the tag of every call before it
 * answers it, synchronously: what was handled is known also of a process that is killed in the next instant.
 * The first argument is the server's options.
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
const options = JSON.parse(process.argv[2] ?? '{}') as PooledTcpServerOptions;
const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0, ...options });
const app = await NestFactory.createMicroservice(moduleOf([EchoController]), { strategy, logger: false });
app.enableShutdownHooks();
await app.listen();
process.send?.({ port: (strategy.unwrap().address() as AddressInfo).port });
