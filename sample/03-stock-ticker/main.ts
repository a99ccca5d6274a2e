import { NestFactory } from '@nestjs/core';
import { parseOptions, USAGE, type DemoOptions } from './demo/options.js';
import { Play, say, sayVerdict } from './demo/play.js';
import { ViewerModule } from './viewer/viewer.module.js';
import { WatchersService } from './viewer/watchers.service.js';

/** Starts three quote servers and many clients, kills servers, and says what the clients saw. */
async function main(options: DemoOptions): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  const play = new Play(options, stop.signal);
  let app;
  try {
    await play.startServers();
    const { clients, resumes } = options;
    const viewer = ViewerModule.register({ endpoints: play.endpoints, clients, resumes });
    app = await NestFactory.create(viewer, { logger: ['error'], abortOnError: false });
    await app.listen(options.port, '127.0.0.1');
    say(`the page is at ${await app.getUrl()}`);
    const watchers = app.get(WatchersService);
    for (;;) {
      const { verdict, restart } = await play.killOne(watchers);
      const isWell = sayVerdict(verdict);
      if (options.once) return isWell ? 0 : 1;
      await play.pause();
      await restart();
      await play.pause();
    }
  } catch (error) {
    if (stop.signal.aborted) return 0;
    say(`✗ ${(error as Error).stack ?? String(error)}`);
    return 1;
  } finally {
    await app?.close();
    await play.stopServers();
  }
}

const options = parseOptions(process.argv.slice(2));
if (typeof options === 'string') {
  console.log(options);
  process.exitCode = options === USAGE ? 0 : 2;
} else process.exitCode = await main(options);
