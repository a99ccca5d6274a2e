import { NestFactory } from '@nestjs/core';
import { PooledTcpServer } from '../../../lib/index.js';
import { QuoteServerModule } from './quote-server.module.js';
import type { TapeOptions } from './tape-options.js';

const { port, ...tape } = JSON.parse(process.argv[2] ?? '') as TapeOptions & { readonly port: number };
const strategy = new PooledTcpServer({
  host: '127.0.0.1',
  port,
  maxConnectionsPerHost: 0,
  // A client that cannot keep up is better told so: it comes back and says where it was.
  push: { slowReader: 'disconnect', maxPendingBytes: 1024 * 1024 },
});
const app = await NestFactory.createMicroservice(QuoteServerModule.register(strategy, tape), {
  strategy,
  logger: ['error', 'warn'],
});
await app.listen();
// The launcher holds the other end: without it there is nobody to serve.
process.once('disconnect', () => void app.close());
process.send?.({ address: strategy.stats().address ?? '' });
