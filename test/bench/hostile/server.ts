import { Controller, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { PooledTcpServer, type PooledTcpServerOptions } from '../../../lib/index.js';
import { BareWriter, readFrames } from '../rpc/contenders/bare-frames.js';
import type { ServerFacts, Target, ToServer } from './messages.js';

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
const NO_LIMIT: PooledTcpServerOptions = { maxConnections: 100_000, maxConnectionsPerHost: 0 };
/** The bare server lets nobody but the honest one stay for longer: as long as ours waits for a first frame. */
const BARE_STAY_MS = 5_000;
/** Where the honest caller calls from; attackers have other addresses. */
const HONEST = '127.0.0.1';

type Facts = Pick<ServerFacts, 'port' | 'connections' | 'refused' | 'accepted' | 'inFlight'>;

Logger.overrideLogger(false);
let factsOf: (() => Facts) | undefined;
/** Both since they were last asked for. */
const loopDelay = monitorEventLoopDelay({ resolution: 1 });
loopDelay.enable();
let longestGcMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longestGcMs = Math.max(longestGcMs, duration);
}).observe({ entryTypes: ['gc'] });

async function listen(target: Target): Promise<() => Facts> {
  if (target === 'bare net') return await listenBare();
  const limits = target === 'no limit of connections' ? NO_LIMIT : {};
  const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0, ...limits });
  const app = await NestFactory.createMicroservice(TargetModule, { strategy, logger: false });
  await app.listen();
  const { port } = strategy.unwrap().address() as AddressInfo;
  return () => {
    const { connections, refused, accepted, inFlight } = strategy.stats();
    return { port, connections, refused, accepted, inFlight };
  };
}

async function listenBare(): Promise<() => Facts> {
  let accepted = 0;
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    accepted += 1;
    connections += 1;
    socket.on('error', () => undefined);
    const isHonest = socket.remoteAddress === HONEST;
    const leave = isHonest ? undefined : setTimeout(() => socket.destroy(), BARE_STAY_MS);
    socket.on('close', () => {
      connections -= 1;
      clearTimeout(leave);
    });
    if (!isHonest) {
      socket.resume();
      return;
    }
    const writer = new BareWriter(socket);
    readFrames(socket, (data) => {
      writer.write(data);
    });
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 16_384 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return () => ({ port, connections, accepted, refused: 0, inFlight: 0 });
}

function facts(of: Facts): ServerFacts {
  const { user, system } = process.cpuUsage();
  const delays = { loopP99Ms: loopDelay.percentile(99) / 1e6, loopMaxMs: loopDelay.max / 1e6, longestGcMs };
  loopDelay.reset();
  longestGcMs = 0;
  return { ...of, ...delays, rssMiB: process.memoryUsage.rss() / 2 ** 20, cpuMs: (user + system) / 1_000 };
}

process.on('disconnect', () => process.exit(0));
process.on('message', (asked: ToServer) => {
  void (async () => {
    if (asked.kind === 'listen') factsOf = await listen(asked.target);
    if (factsOf !== undefined) process.send?.(facts(factsOf()));
  })();
});
