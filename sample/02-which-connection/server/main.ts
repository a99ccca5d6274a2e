import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AddressInfo } from 'node:net';
import { PooledTcpServer, type PooledTcpServerOptions } from '../../../lib/index.js';
import { CERTIFICATE, KEY } from '../demo/certificate.js';
import type { ServerPorts, ServerQuestion, ServerReport } from '../demo/messages.js';
import { PriceController } from './price.controller.js';

@Module({ controllers: [PriceController] })
class ServerModule {}

/** Connections of both servers. */
let open = 0;
let mostOpen = 0;
let cpu = process.cpuUsage();
/** Told when the last connection is gone. */
let onAllClosed: (() => void) | undefined;

async function listen(options: PooledTcpServerOptions): Promise<number> {
  const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0, ...options });
  const app = await NestFactory.createMicroservice(ServerModule, { strategy, logger: ['error', 'warn'] });
  await app.listen();
  const server = strategy.unwrap();
  server.on('connection', (socket) => {
    open += 1;
    mostOpen = Math.max(mostOpen, open);
    socket.on('close', () => {
      open -= 1;
      if (open === 0) onAllClosed?.();
    });
  });
  return (server.address() as AddressInfo).port;
}

async function answer({ ask }: ServerQuestion): Promise<ServerReport> {
  // Those of the measurement before have to be gone: an end takes as long to arrive as anything else.
  if (ask === 'begin' && open > 0) await new Promise<void>((resolve) => (onAllClosed = resolve));
  const { user, system } = process.cpuUsage(cpu);
  const report: ServerReport = { mostOpen, cpuMs: (user + system) / 1_000 };
  cpu = process.cpuUsage();
  mostOpen = open;
  return report;
}

// Whoever started this is gone, or has no more questions.
process.on('disconnect', () => process.exit(0));
const plainPort = await listen({});
const tlsPort = await listen({ tls: { cert: CERTIFICATE, key: KEY } });
process.on('message', (question: ServerQuestion) => void answer(question).then((report) => process.send?.(report)));
process.send?.({ plainPort, tlsPort } satisfies ServerPorts);
