import { ServiceError } from './demo/child-service.js';
import { parseOptions, USAGE, type DemoOptions } from './demo/options.js';
import { Play } from './demo/play.js';
import { Screen } from './demo/screen.js';
import { Stage } from './demo/stage.js';
import { onStopRequest } from './demo/stop-requests.js';

/** Plays the demonstration until it ends, something goes wrong, or it is stopped; then ends both services. */
async function main(options: DemoOptions): Promise<number> {
  const screen = new Screen(process.stdout);
  const stop = new AbortController();
  const stage = new Stage(screen, (message) => {
    play.onMessage(message);
  });
  const play = new Play(screen, stage, options, stop.signal);
  const stopped = new Promise<void>((resolve) => {
    onStopRequest({
      stop: () => {
        stop.abort();
        resolve();
      },
      stopAtOnce: () => {
        stage.kill();
      },
    });
  });
  try {
    await Promise.race([play.run(), stage.accident, stopped]);
    screen.close();
    screen.heading(stop.signal.aborted ? 'Stopping: who calls first, then who is called' : 'Done');
    return (await stage.close()) ? 0 : 1;
  } catch (error) {
    stop.abort();
    screen.close();
    screen.line();
    screen.bad(error instanceof ServiceError ? error.message : String((error as Error).stack));
    stage.kill();
    return 1;
  }
}

// Nobody reads any more (`| head`). The services end when they miss the launcher.
process.stdout.on('error', () => process.exit(0));

const options = parseOptions(process.argv.slice(2), process.env);
if (typeof options === 'string') {
  console.log(options);
  process.exitCode = options === USAGE ? 0 : 2;
} else process.exitCode = await main(options);
