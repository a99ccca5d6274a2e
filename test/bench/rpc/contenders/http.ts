import { Body, Controller, HttpCode, Logger, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { AddressInfo, Server } from 'node:net';
import { Pool } from 'undici';
import { LARGE_BYTES, type Payload } from '../payloads.js';
import type { Call, Contender } from './contender.js';
import { HOST } from './contender.js';

Logger.overrideLogger(false);

/** As many as our pool may open. */
const CONNECTIONS = 10;
const BYTES = 'application/octet-stream';

@Controller()
class HttpEchoController {
  @Post('echo')
  @HttpCode(200)
  echo(@Body() data: unknown): unknown {
    return data;
  }
}

@Module({ controllers: [HttpEchoController] })
class HttpEchoModule {}

const http: Contender = {
  listen: async () => {
    const adapter = new FastifyAdapter({ bodyLimit: 2 * LARGE_BYTES });
    const app = await NestFactory.create<NestFastifyApplication>(HttpEchoModule, adapter, { logger: false });
    app.useBodyParser(BYTES, { bodyLimit: 2 * LARGE_BYTES }, (_request, body, done) => {
      done(null, body);
    });
    await app.listen(0, HOST);
    return { port: ((app.getHttpServer() as Server).address() as AddressInfo).port };
  },
  connect: ({ port, connections = CONNECTIONS }) => {
    const pool = new Pool(`http://${HOST}:${port}`, { connections });
    return Promise.resolve({
      echo: (payload) => callOf(pool, payload),
      connections: () => pool.stats.connected,
      close: () => pool.close(),
    });
  },
};

function callOf(pool: Pool, { form, value }: Payload): Call {
  const post = async (): Promise<unknown> => {
    const isBytes = form === 'bytes';
    const { body, statusCode } = await pool.request({
      method: 'POST',
      path: '/echo',
      headers: { 'content-type': isBytes ? BYTES : 'application/json' },
      body: isBytes ? value : JSON.stringify(value),
    });
    if (statusCode !== 200) throw new Error(`HTTP ${statusCode}: ${await body.text()}`);
    return isBytes ? Buffer.from(await body.arrayBuffer()) : body.json();
  };
  return (done) => {
    post().then(
      (reply) => {
        done(undefined, reply);
      },
      (error: unknown) => {
        done(error);
      },
    );
  };
}

export const contenders: Readonly<Record<string, Contender>> = { http };
