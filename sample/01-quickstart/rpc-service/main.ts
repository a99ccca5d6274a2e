import { NestFactory } from '@nestjs/core';
import { PooledTcpServer } from '../../../lib/index.js';
import { QuietLogger } from '../demo/quiet-logger.js';
import { runService } from '../demo/run-service.js';
import { RpcServiceModule } from './rpc-service.module.js';

await runService(async () => {
  const strategy = new PooledTcpServer({ host: '127.0.0.1', port: Number(process.env['RPC_PORT'] ?? 4000) });
  const app = await NestFactory.createMicroservice(RpcServiceModule, { strategy, logger: new QuietLogger() });
  app.enableShutdownHooks();
  await app.listen();
  return { app, address: strategy.stats().address ?? '' };
});
