import { describe, expect, it } from '@jest/globals';
import { Controller, type LoggerService } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { Logger } from '@nestjs/common';
import { firstValueFrom, from, Subject, toArray, type Observable } from 'rxjs';
import { nestJson, PooledTcpContext } from '../../lib/index.js';
import { Ctx } from '@nestjs/microservices';
import { Scope } from '../support/nest-app.js';

const events = new Subject<unknown>();

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('each')
  each(@Payload() data: unknown[]): Observable<unknown> {
    return from(data);
  }

  @MessagePattern('throw')
  throw(@Payload() data: object): never {
    throw new RpcException(data);
  }

  @MessagePattern('push')
  push(@Payload() data: unknown, @Ctx() context: PooledTcpContext): void {
    context.getSession().push('pushed', data);
  }

  @EventPattern('event')
  event(@Payload() data: unknown): void {
    events.next(data);
  }
}

/** What JSON cannot carry. */
const rich = () => ({ at: new Date(1_700_000_000_123), bytes: Buffer.from('abc'), big: 2n ** 60n, none: undefined });

describe('MessagePack between a client and a server', () => {
  const scope = new Scope();

  it('is had by one option at the client, and carries requests, replies, items, errors, events and pushes', async () => {
    const { port } = await scope.server([EchoController]);
    const client = scope.client(port, { codec: 'msgpack', pool: { min: 1, max: 1 } });
    const pushed = firstValueFrom(client.pushes('pushed'));
    const arrived = firstValueFrom(events);
    // More than once: the third of a shape is where its structure is used.
    for (let i = 0; i < 4; i++) {
      await expect(client.request('echo', rich())).resolves.toEqual(rich());
      await expect(firstValueFrom(client.send('each', [rich(), rich()]).pipe(toArray()))).resolves.toEqual([
        rich(),
        rich(),
      ]);
      await expect(client.request('throw', rich())).rejects.toMatchObject({ cause: rich() });
      await client.request('push', rich());
      await firstValueFrom(client.emit('event', rich()), { defaultValue: undefined });
    }
    await expect(pushed).resolves.toEqual(rich());
    await expect(arrived).resolves.toEqual(rich());
    expect(client.stats().endpoints[0]).toMatchObject({ created: 1 });
  });

  it('keeps raw Buffers raw, also on top of large values', async () => {
    const { port } = await scope.server([EchoController]);
    const client = scope.client(port, { codec: 'msgpack', pool: { min: 1, max: 1 } });
    const raw = Buffer.alloc(300_000, 'r');
    await expect(client.request('echo', raw)).resolves.toEqual(raw);
    const large = { raw, text: '€'.repeat(100_000), list: Array.from({ length: 5000 }, (_, i) => ({ i, at: i })) };
    const small = Array.from({ length: 200 }, (_, i) => ({ id: i, name: `n${i}` }));
    const replies = await Promise.all([large, ...small, large].map((data) => client.request('echo', data)));
    expect(replies).toEqual([large, ...small, large]);
  });

  it.each([
    ['msgpack', 'auto', true],
    ['msgpack', 'msgpack', true],
    ['msgpack', 'json', false],
    ['auto', 'auto', true],
    ['auto', 'json', false],
    ['json', 'auto', false],
    ['json', 'msgpack', false],
    ['json', 'json', false],
  ] as const)('a client with %s and a server with %s: %s', async (codec, serverCodec, isMessagePack) => {
    const { port } = await scope.server([EchoController], { codec: serverCodec });
    const client = scope.client(port, { codec });
    const at = new Date(0);
    await expect(client.request('echo', { at })).resolves.toEqual({ at: isMessagePack ? at : at.toISOString() });
  });

  it('a client that cannot have it speaks JSON and says so once for each server', async () => {
    const lines: unknown[] = [];
    const logger: LoggerService = {
      log: () => undefined,
      error: () => undefined,
      warn: (line: unknown) => lines.push(line),
    };
    const { port } = await scope.server([EchoController], { codec: 'json' });
    const { port: stockPort } = await scope.stockServer([EchoController]);
    Logger.overrideLogger(logger);
    scope.defer(() => {
      Logger.overrideLogger(false);
    });
    const client = scope.client(port, { codec: 'msgpack', pool: { min: 3, max: 3 } });
    const stock = scope.client(stockPort, { codec: 'msgpack', pool: { min: 3, max: 3 } });
    await client.connect();
    await stock.connect();
    await expect(client.request('echo', { a: 1 })).resolves.toEqual({ a: 1 });
    await expect(stock.request('echo', { a: 1 })).resolves.toEqual({ a: 1 });
    expect(lines).toEqual([
      `127.0.0.1:${port} is spoken to in JSON and not in MessagePack as codec asks: it does not have the package msgpackr, or its options say codec: json`,
      `127.0.0.1:${stockPort} is spoken to in JSON and not in MessagePack as codec asks: it speaks the stock Nest wire`,
    ]);
  });

  it('a server that takes only the stock wire needs no word about it', async () => {
    const { port } = await scope.server([EchoController], { protocol: nestJson() });
    const client = scope.client(port, { codec: 'auto' });
    await expect(client.request('echo', { a: 1 })).resolves.toEqual({ a: 1 });
  });
});
