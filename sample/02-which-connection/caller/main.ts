import { PooledTcpClient } from '../../../lib/index.js';
import { CERTIFICATE } from '../demo/certificate.js';
import type { CallerReport, Task } from '../demo/messages.js';
import type { Offer, Order } from '../server/price.controller.js';
import { WAYS } from '../ways.js';
import { percentile, run } from './load.js';

/** Does the job over a pool of its own. Only the pool's options differ from way to way. */
async function perform({ way, place, load }: Task): Promise<CallerReport> {
  const prices = new PooledTcpClient({
    endpoints: [`127.0.0.1:${place.port}`],
    tls: place.isTls ? { ca: CERTIFICATE } : undefined,
    pool: WAYS[way],
  });
  await prices.connect();
  const cpu = process.cpuUsage();

  const { latencies, failed, error, seconds } = await run(load, async (i) => {
    const order: Order = { sku: `sku-${i}`, amount: i };
    const { sku, cents } = await prices.request<Offer>('price', order);
    if (sku !== order.sku || cents !== i * (100 + sku.length)) throw new Error(`a wrong answer for ${order.sku}`);
  });

  const { user, system } = process.cpuUsage(cpu);
  const { created, timeWait } = prices.stats();
  await prices.close();
  return {
    calls: latencies.length,
    failed,
    error,
    seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    connects: created,
    timeWait,
    cpuMs: (user + system) / 1_000,
  };
}

// Whoever started this is gone, or has no more questions.
process.on('disconnect', () => process.exit(0));
process.on('message', (task: Task) => void perform(task).then((report) => process.send?.(report)));
process.send?.({});
