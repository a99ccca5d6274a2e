import type { PooledTcpClient } from '../../../lib/index.js';
import { burst } from './burst.js';
import { examples } from './examples.js';
import type { ToGateway } from './messages.js';
import { tell } from './run-service.js';

/** Runs on the gateway's pool what the launcher asks for, and tells it how the pool fares. */
export function answerLauncher(pool: PooledTcpClient): void {
  process.on('message', (message: ToGateway) => {
    void answer(pool, message);
  });
  pool.status.subscribe((status) => tell({ type: 'pool', name: pool.name, status }));
}

async function answer(pool: PooledTcpClient, message: ToGateway): Promise<void> {
  if (message.type === 'examples') {
    tell({ type: 'examples', examples: await examples(pool) });
    return;
  }
  const { calls, concurrency } = message;
  const report = await burst(pool, { calls, concurrency, onProgress: (done) => tell({ type: 'progress', done }) });
  tell({ type: 'burst', report });
}
