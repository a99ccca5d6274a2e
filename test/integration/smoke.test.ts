import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, type INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Payload, ClientTCP } from '@nestjs/microservices';
import { Module } from '@nestjs/common';
import { lastValueFrom, of, from, toArray } from 'rxjs';
import { PooledTcpClient, PooledTcpServer, nestJson } from '../../lib/index.js';

@Controller()
class MathController {
  @MessagePattern('sum')
  sum(@Payload() data: number[]) {
    return data.reduce((a, b) => a + b, 0);
  }
  @MessagePattern('echo')
  echo(@Payload() data: unknown) {
    return data;
  }
  @MessagePattern({ cmd: 'count', a: 1 })
  count(@Payload() n: number) {
    return from(Array.from({ length: n }, (_, i) => i));
  }
  @MessagePattern('boom')
  boom() {
    throw new Error('boom');
  }
}
@Module({ controllers: [MathController] })
class AppModule {}

describe('smoke', () => {
  let app: INestMicroservice;
  let port: number;
  beforeAll(async () => {
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
    app = await NestFactory.createMicroservice(AppModule, { strategy, logger: ['error', 'warn'] });
    await app.listen();
    port = (strategy.unwrap() as any).address().port;
  });
  afterAll(async () => {
    await app.close();
  });
  for (const protocol of ['auto', nestJson()] as const)
    it('works ' + JSON.stringify(protocol), async () => {
      const client = new PooledTcpClient({ host: '127.0.0.1', port, protocol, pool: { min: 3, max: 6 } });
      await client.connect();
      expect(await client.request('sum', [1, 2])).toBe(3);
      expect(await lastValueFrom(client.send('sum', [1, 2]))).toBe(3);
      expect(await lastValueFrom(client.send({ a: 1, cmd: 'count' }, 5).pipe(toArray()))).toEqual([0, 1, 2, 3, 4]);
      await expect(client.request('boom', 1)).rejects.toMatchObject({ code: 'PTCP_HANDLER_FAILED' });
      await expect(client.request('nope', 1)).rejects.toMatchObject({ code: 'PTCP_NO_HANDLER' });
      const big = 'x'.repeat(16384);
      const t = performance.now();
      const all = await Promise.all(Array.from({ length: 1000 }, () => client.request('echo', big)));
      expect(all.every((x) => x === big)).toBe(true);
      console.log(performance.now() - t, client.stats());
      await client.close();
      console.log(client.stats());
    });
  it('stock client', async () => {
    const client = new ClientTCP({ host: '127.0.0.1', port });
    expect(await lastValueFrom(client.send('sum', [1, 2]))).toBe(3);
    expect(await lastValueFrom(client.send({ a: 1, cmd: 'count' }, 5).pipe(toArray()))).toEqual([0, 1, 2, 3, 4]);
    await expect(lastValueFrom(client.send('nope', 1))).rejects.toBe(
      'There is no matching message handler defined in the remote service.',
    );
    client.close();
  });
  void of;
});
