import { Logger } from '@nestjs/common';
import { parseOptions, USAGE, type DemoOptions } from './demo/options.js';
import { Play } from './demo/play.js';

/** Plays the demonstration until it ends or Ctrl-C, then lets both services say goodbye. Returns the exit code. */
async function main(options: DemoOptions): Promise<number> {
  const play = new Play(options);
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
  try {
    await Promise.race([play.run(), stopped]);
    return (await play.close()) ? 0 : 1;
  } catch (error) {
    console.error(`✗ ${(error as Error).message}`);
    play.kill();
    return 1;
  }
}

// What the second SP's pool has to say is shown by the demonstration itself.
Logger.overrideLogger(false);
const options = parseOptions(process.argv.slice(2));
if (typeof options === 'string') {
  console.log(options);
  process.exitCode = options === USAGE ? 0 : 2;
} else process.exitCode = await main(options);
