import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { AddressInfo } from 'node:net';
import { InjectPool, PooledTcpClient, PooledTcpModule, PooledTcpServer } from '../../../lib/index.js';

/**
 * A service in a process of its own, for what signals do: its handler calls the service that started it, on the
 * port given, through a pool. It reports its own port, and the beginning of its shutdown.
 */
@Controller()
class RelayController {
  constructor(@InjectPool('upstream') private readonly upstream: PooledTcpClient) {}

  @MessagePattern('relay')
  async relay(@Payload() data: unknown): Promise<unknown> {
    return { relayed: await this.upstream.request('hold', data) };
  }

  beforeApplicationShutdown(signal?: string): void {
    process.send?.({ shuttingDown: signal });
  }
}

@Module({
  imports: [PooledTcpModule.forRoot({ name: 'upstream', host: '127.0.0.1', port: Number(process.argv[2]) })],
  controllers: [RelayController],
})
class RelayModule {}

const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
const app = await NestFactory.createMicroservice(RelayModule, { strategy, logger: false });
app.enableShutdownHooks();
await app.listen();
process.send?.({ port: (strategy.unwrap().address() as AddressInfo).port });
