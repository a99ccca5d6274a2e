import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { lastValueFrom, map, range, reduce, take, timer, type Observable } from 'rxjs';
import type { PooledTcpClient, PooledTcpContext } from '../../../lib/index.js';

/** One handler for each thing that can be said on a connection. */
@Controller()
export class FuzzedController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern({ cmd: 'soon' })
  async soon(@Payload() data: unknown): Promise<unknown> {
    return lastValueFrom(timer(5).pipe(map(() => data)));
  }

  @MessagePattern('fail')
  fail(@Payload() data: unknown): never {
    throw new Error(`failed on purpose: ${typeof data}`);
  }

  @MessagePattern('count')
  count(@Payload() data: unknown): Observable<object> {
    return range(0, 50).pipe(map((i) => ({ i, data, filling: 'x'.repeat(100) })));
  }

  @MessagePattern('ticks')
  ticks(@Payload() data: unknown): Observable<unknown> {
    return timer(0, 5).pipe(map((tick) => [tick, data]));
  }

  @MessagePattern('collect')
  collect(@Payload() data: unknown): unknown {
    // An input may ask for it without a stream.
    if (typeof data !== 'object' || data === null || !('pipe' in data)) return 'no stream';
    return (data as Observable<unknown>).pipe(reduce((count) => count + 1, 0));
  }

  @MessagePattern('large')
  large(@Payload() data: unknown): Buffer {
    return Buffer.alloc(data === 'small' ? 10 : 300_000, 0x61);
  }

  @MessagePattern('push')
  push(@Payload() data: unknown, @Ctx() context: PooledTcpContext): string {
    try {
      context.getSession().push('pushed', data);
    } catch (error) {
      // The stock wire has no pushes.
      return String(error);
    }
    return 'pushed';
  }

  @EventPattern('noted')
  noted(@Payload() data: unknown): unknown {
    return data;
  }
}

/** Says one of each on the client's connections. */
export async function sayEverything(client: PooledTcpClient, isNative: boolean): Promise<void> {
  for (let i = 0; i < 3; i++) await client.request('echo', { i, text: 'ünïcödé 👋' });
  await Promise.all([
    client.request({ cmd: 'soon' }, [1, 2, 3], { metadata: { trace: 'abc' }, timeoutMs: 5_000 }),
    client.request('echo', 'between'),
    client.request('fail', {}).catch(() => undefined),
    client.request('missing', {}).catch(() => undefined),
  ]);
  await lastValueFrom(client.send('count', {}));
  await lastValueFrom(client.send('ticks', {}).pipe(take(3)));
  await lastValueFrom(client.emit('noted', { a: 1 }));
  await client.request('push', { quote: 1 });
  const abort = new AbortController();
  const cancelled = client.request({ cmd: 'soon' }, 1, { signal: abort.signal }).catch(() => undefined);
  abort.abort();
  await cancelled;
  if (!isNative) return;
  await client.request('collect', range(0, 30).pipe(map((i) => ({ i }))));
  await client.request('echo', Buffer.alloc(1_000, 7));
  await client.request('echo', 'y'.repeat(200_000));
  await client.request('large', {});
}
