import { Logger } from '@nestjs/common';
import { PooledTcpClient, type PooledTcpClientOptions } from '../../../lib/index.js';

/** What a caller is told: whom to call, and the tags of the calls. */
export interface CallerTask {
  readonly options: PooledTcpClientOptions;
  readonly tags: readonly string[];
}

/**
 * A client in a process of its own, to be killed and stopped: for each task it opens a pool in place of the one
 * before, calls `hold` once for each tag, and says how many connections it has.
 */
Logger.overrideLogger(false);
let client: PooledTcpClient | undefined;

async function perform({ options, tags }: CallerTask): Promise<void> {
  client?.destroy();
  client = new PooledTcpClient(options);
  await client.connect();
  for (const tag of tags) {
    // Lost with the connection that the test breaks; the server's side is what is looked at.
    client.request('hold', { tag }, { timeoutMs: Infinity }).catch(() => undefined);
  }
  process.send?.({ connections: client.stats().total });
}

// Nobody is left to call for.
process.on('disconnect', () => process.exit(0));
process.on('message', (task: CallerTask) => void perform(task));
process.send?.({ isReady: true });
