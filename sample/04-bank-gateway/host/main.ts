import { NestFactory } from '@nestjs/core';
import { PooledTcpServer } from '../../../lib/index.js';
import { QuietLogger } from '../demo/quiet-logger.js';
import { runService } from '../demo/run-service.js';
import { framingName } from '../wire/framings.js';
import { hostOptions } from './host-options.js';
import { HostModule } from './host.module.js';

await runService(async () => {
  const { BANK_FRAMING = 'ascii', BANK_PORT = '7000', ARCHIVE_MS = '2000' } = process.env;
  const strategy = new PooledTcpServer(hostOptions(framingName(BANK_FRAMING), Number(BANK_PORT)));
  const host = HostModule.register(Number(ARCHIVE_MS));
  const app = await NestFactory.createMicroservice(host, { strategy, logger: new QuietLogger() });
  app.enableShutdownHooks();
  await app.listen();
  return { app, address: strategy.stats().address ?? '' };
});
