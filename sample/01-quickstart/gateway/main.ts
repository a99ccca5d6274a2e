import { NestFactory } from '@nestjs/core';
import { getPoolToken, type PooledTcpClient } from '../../../lib/index.js';
import { answerLauncher } from '../demo/answer-launcher.js';
import { QuietLogger } from '../demo/quiet-logger.js';
import { runService } from '../demo/run-service.js';
import { GatewayModule } from './gateway.module.js';

await runService(async () => {
  const gateway = GatewayModule.register({ endpoints: [process.env['RPC_ADDRESS'] ?? '127.0.0.1:4000'] });
  const app = await NestFactory.create(gateway, { logger: new QuietLogger(), abortOnError: false });
  app.enableShutdownHooks();
  await app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1'); // after the pool is warm
  answerLauncher(app.get<PooledTcpClient>(getPoolToken('math')));
  return { app, address: await app.getUrl() };
});
