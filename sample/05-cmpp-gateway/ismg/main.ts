import { NestFactory } from '@nestjs/core';
import { linkTest, PORTS } from '../cmpp/parameters.js';
import { ACCOUNTS } from '../demo/accounts.js';
import type { ToIsmg } from '../demo/messages.js';
import { BriefLogger, runService, tell } from '../demo/service.js';
import { WireLog } from '../demo/wire-log.js';
import { IsmgController } from './ismg.controller.js';
import { IsmgModule } from './ismg.module.js';
import { ismgServer } from './ismg-server.js';
import { MobileNetwork } from './mobile-network.js';
import { ServiceProviders } from './service-providers.js';

const { CMPP_PORT = String(PORTS.long), LINK_TEST_MS } = process.env;

await runService(async () => {
  const wire = new WireLog();
  const strategy = ismgServer({
    port: Number(CMPP_PORT),
    heartbeat: LINK_TEST_MS === undefined ? undefined : linkTest(Number(LINK_TEST_MS)),
    onTraffic: wire.record,
  });
  const app = await NestFactory.createMicroservice(IsmgModule.register({ accounts: ACCOUNTS, handsetMs: 50 }), {
    strategy,
    logger: new BriefLogger(),
    abortOnError: false,
  });
  app.enableShutdownHooks();
  await app.listen();
  process.on('message', (message: ToIsmg) => {
    if (message.type === 'write') app.get(MobileNetwork).write(message.from, message.to, message.text);
    else {
      const providers = [...app.get(ServiceProviders)];
      const outboxes = providers.map(({ sourceAddr, outbox }) => [sourceAddr, outbox.stats] as const);
      const { mostInFlight } = app.get(IsmgController);
      tell({ type: 'report', report: { mostInFlight, outboxes: Object.fromEntries(outboxes) } });
    }
  });
  return { app, address: strategy.stats().address ?? '' };
});
