import { NestFactory } from '@nestjs/core';
import { QuietLogger } from '../demo/quiet-logger.js';
import { runService } from '../demo/run-service.js';
import { framingName } from '../wire/framings.js';
import { GatewayModule } from './gateway.module.js';

await runService(async () => {
  const {
    BANK_FRAMING = 'ascii',
    BANK_ADDRESS = '127.0.0.1:7000',
    BANK_TIMEOUT_MS = '5000',
    PORT = '3000',
  } = process.env;
  const gateway = GatewayModule.register({
    wire: framingName(BANK_FRAMING),
    endpoints: [BANK_ADDRESS],
    requestTimeoutMs: Number(BANK_TIMEOUT_MS),
  });
  const app = await NestFactory.create(gateway, { logger: new QuietLogger(), abortOnError: false });
  app.enableShutdownHooks();
  await app.listen(Number(PORT), '127.0.0.1'); // after every connection has signed on
  return { app, address: await app.getUrl() };
});
