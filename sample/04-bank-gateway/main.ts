import { ServiceError } from './demo/child.js';
import { parseOptions, USAGE, type DemoOptions } from './demo/options.js';
import { bad, heading, Play } from './demo/play.js';

/** Plays the scenes, serves until it is stopped unless it is to end, and ends both services. Returns the exit code. */
async function main(options: DemoOptions): Promise<number> {
  const play = new Play(options);
  const stopped = new Promise<'stopped'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => {
        resolve('stopped');
      });
  });
  try {
    const ended = await Promise.race([play.run(), stopped]);
    if (ended !== 'stopped' && !options.once) await Promise.race([play.accident(), stopped]);
    heading('Who calls ends first, then who is called');
    return (await play.close()) ? 0 : 1;
  } catch (error) {
    bad(error instanceof ServiceError ? error.message : String((error as Error).stack));
    play.kill();
    return 1;
  }
}

// Nobody reads any more (`| head`). The services end when they miss the launcher.
process.stdout.on('error', () => process.exit(0));

const options = parseOptions(process.argv.slice(2));
if (typeof options === 'string') {
  console.log(options);
  process.exitCode = options === USAGE ? 0 : 2;
} else {
  process.exitCode = await main(options);
  // A scene that was cut short may still wait for something.
  process.exit();
}
