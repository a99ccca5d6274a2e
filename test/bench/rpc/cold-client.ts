import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PooledTcpModule, getPoolToken, type PooledTcpClient } from '../../../lib/index.js';
import { CA_CERTIFICATE } from '../../support/certificates.js';
import { HOST } from './contenders/contender.js';
import { Latencies } from './latency.js';
import { payloadCase } from './payloads.js';
import type { ColdQuestion, ColdResult, Latency } from './questions.js';

const CALLS = 100;
const ROUNDS_UNTIL_STEADY = 50;
const STEADY_ROUNDS = 20;

@Module({})
class ColdModule {}

/** Boots an application with one pool, and makes its first calls. */
export async function runCold({ port, tls, prewarm, order }: ColdQuestion): Promise<ColdResult> {
  const pool = PooledTcpModule.forRoot({
    host: HOST,
    port,
    ...(tls ? { tls: { ca: CA_CERTIFICATE } } : undefined),
    pool: { prewarm },
  });
  const app = await NestFactory.createApplicationContext({ module: ColdModule, imports: [pool] }, { logger: false });
  const client = app.get<PooledTcpClient>(getPoolToken());
  const { value } = payloadCase('150B').make();
  const run = async (rounds: number): Promise<Latency> => {
    const latencies = new Latencies();
    const call = async (): Promise<void> => {
      const at = performance.now();
      await client.request('echo', value);
      latencies.add(performance.now() - at);
    };
    for (let round = 0; round < rounds; round++) {
      if (order === 'at once') await Promise.all(Array.from({ length: CALLS }, call));
      else for (let i = 0; i < CALLS; i++) await call();
    }
    return latencies.summary();
  };
  const first = await run(1);
  await run(ROUNDS_UNTIL_STEADY);
  const steady = await run(STEADY_ROUNDS);
  await app.close();
  return { first, steady };
}
