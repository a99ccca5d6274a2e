import { NestFactory } from '@nestjs/core';
import type { Traffic } from '../cmpp/cmpp-codec.js';
import { linkTest, PORTS } from '../cmpp/parameters.js';
import { ACCOUNTS } from '../demo/accounts.js';
import { BriefLogger, runService, tell } from '../demo/service.js';
import { WireLog } from '../demo/wire-log.js';
import { Inbox } from './inbox.js';
import { SpModule } from './sp.module.js';

const { ISMG_ADDRESS = `127.0.0.1:${PORTS.long}`, PORT = '3000', LINK_TEST_MS } = process.env;

await runService(async () => {
  const [{ sourceAddr, secret, accessNumber }] = ACCOUNTS;
  const wire = new WireLog();
  const onTraffic = (traffic: Traffic): void => {
    wire.record(traffic);
    if (!traffic.message.startsWith('CMPP_ACTIVE_TEST')) return;
    const answers = (['sent', 'received'] as const).map((way) => wire.count(way, 'CMPP_ACTIVE_TEST_RESP'));
    if (Math.min(...answers) === 1) tell({ type: 'link-tested' });
  };
  const sp = SpModule.register({
    ismg: ISMG_ADDRESS,
    sourceAddr,
    secret,
    srcId: accessNumber,
    heartbeat: LINK_TEST_MS === undefined ? undefined : linkTest(Number(LINK_TEST_MS)),
    onTraffic,
  });
  const app = await NestFactory.create(sp, { logger: new BriefLogger(), abortOnError: false });
  app.enableShutdownHooks();
  app.get(Inbox, { strict: false }).arrivals.subscribe((arrival) => tell({ type: 'arrival', arrival }));
  await app.listen(Number(PORT), '127.0.0.1');
  return { app, address: await app.getUrl() };
});
