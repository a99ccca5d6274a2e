import { Controller, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { PooledTcpServer, type PooledTcpServerOptions } from '../../../lib/index.js';
import type { ServerFacts, ToServer } from './messages.js';

@Controller()
class TargetController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('slow')
  slow(@Payload() data: unknown): Promise<unknown> {
    return new Promise((resolve) => {
      setTimeout(() => {
        resolve(data);
      }, 500);
    });
  }

  @MessagePattern('large')
  large(@Payload() data: unknown): string {
    return data === 'small' ? '' : 'x'.repeat(64 * 1024);
  }
}

@Module({ controllers: [TargetController] })
class TargetModule {}

/** No limit of connections: whatever comes is served. */
const LIFTED: PooledTcpServerOptions = { maxConnections: 100_000, maxConnectionsPerHost: 0 };

Logger.overrideLogger(false);
let strategy: PooledTcpServer | undefined;
/** Both since they were last asked for. */
const loopDelay = monitorEventLoopDelay({ resolution: 1 });
loopDelay.enable();
let longestGcMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longestGcMs = Math.max(longestGcMs, duration);
}).observe({ entryTypes: ['gc'] });

async function listen(lifted: boolean): Promise<void> {
  strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0, ...(lifted ? LIFTED : {}) });
  const app = await NestFactory.createMicroservice(TargetModule, { strategy, logger: false });
  await app.listen();
}

function facts(server: PooledTcpServer): ServerFacts {
  const { connections, refused, accepted, inFlight } = server.stats();
  const { user, system } = process.cpuUsage();
  const delays = { loopP99Ms: loopDelay.percentile(99) / 1e6, loopMaxMs: loopDelay.max / 1e6, longestGcMs };
  loopDelay.reset();
  longestGcMs = 0;
  return {
    ...delays,
    port: (server.unwrap().address() as AddressInfo).port,
    connections,
    refused,
    accepted,
    inFlight,
    rssMiB: process.memoryUsage.rss() / 2 ** 20,
    cpuMs: (user + system) / 1_000,
  };
}

process.on('disconnect', () => process.exit(0));
process.on('message', (asked: ToServer) => {
  void (async () => {
    if (asked.kind === 'listen') await listen(asked.lifted);
    if (strategy !== undefined) process.send?.(facts(strategy));
  })();
});
