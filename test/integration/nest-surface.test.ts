import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, type TcpContext } from '@nestjs/microservices';
import { firstValueFrom, Subject } from 'rxjs';
import { PooledTcpContext, type PooledTcpError } from '../../lib/index.js';
import { Scope } from '../support/nest-app.js';

const events = new Subject<unknown>();
/** What the handler of `stream` returns. */
const numbers = new Subject<number>();
const isStreaming = (): boolean => numbers.observed;

@Controller()
class SurfaceController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @EventPattern('noted')
  noted(@Payload() data: unknown): void {
    events.next(data);
  }

  /** Uses the context as a handler written for stock TCP does. */
  @MessagePattern('socket')
  socket(@Payload() _data: unknown, @Ctx() context: TcpContext): unknown {
    const ref = context.getSocketRef();
    const net = ref.netSocket;
    let refused: unknown;
    try {
      ref.sendMessage({});
    } catch (error) {
      refused = (error as PooledTcpError).code;
    }
    return {
      isOurs: context instanceof PooledTcpContext,
      same: context.getSocketRef() === ref,
      remote: net.remoteAddress,
      chained: ref.on('timeout', () => undefined).once('timeout', () => undefined) === ref,
      refused,
      pattern: context.getPattern(),
    };
  }

  @MessagePattern('stream')
  stream(): Subject<number> {
    return numbers;
  }

  @MessagePattern('fail')
  fail(): never {
    throw new Error('as it happens');
  }

  @MessagePattern('hang up')
  hangUp(@Payload() _data: unknown, @Ctx() context: TcpContext): Promise<never> {
    context.getSocketRef().end();
    return new Promise(() => undefined);
  }
}

const scope = new Scope();

describe('a handler written for stock TCP', () => {
  it('finds the socket it knows in its context', async () => {
    const { port } = await scope.server([SurfaceController]);
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    expect(await client.request('socket', {})).toEqual({
      isOurs: true,
      same: true,
      remote: '127.0.0.1',
      chained: true,
      refused: 'PTCP_UNSUPPORTED',
      pattern: 'socket',
    });
  });

  it('can end the connection', async () => {
    const { port } = await scope.server([SurfaceController]);
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    await expect(client.request('hang up', {})).rejects.toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true });
  });
});

describe('the processing hooks of Nest', () => {
  it('run around each request, with its context, also when the handler streams or fails', async () => {
    const { strategy, port } = await scope.server([SurfaceController]);
    const seen: string[] = [];
    strategy.setOnProcessingStartHook((_transport, context, done) => {
      seen.push(`start ${(context as PooledTcpContext).getPattern()}`);
      void done();
    });
    strategy.setOnProcessingEndHook((_transport, context) => {
      seen.push(`end ${(context as PooledTcpContext).getPattern()}`);
    });
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    expect(await client.request('echo', 1)).toBe(1);
    expect(seen.splice(0)).toEqual(['start echo', 'end echo']);
    await expect(client.request('fail', 1)).rejects.toMatchObject({ code: 'PTCP_HANDLER_FAILED' });
    expect(seen.splice(0)).toEqual(['start fail', 'end fail']);

    const first = new Subject<unknown>();
    const subscription = client.send('stream', 1).subscribe(first);
    const arrived = firstValueFrom(first);
    while (!isStreaming()) await client.request('echo', 1);
    numbers.next(7);
    expect(await arrived).toBe(7);
    expect(seen.filter((line) => line.endsWith('stream'))).toEqual(['start stream']);
    subscription.unsubscribe();
    while (isStreaming()) await client.request('echo', 1);
    expect(seen.filter((line) => line.endsWith('stream'))).toEqual(['start stream', 'end stream']);
  });

  it('that throw fail their own call, or nothing', async () => {
    const { strategy, port } = await scope.server([SurfaceController]);
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    strategy.setOnProcessingEndHook(() => {
      throw new Error('a defect of the end hook');
    });
    expect(await client.request('echo', 1)).toBe(1);
    strategy.setOnProcessingStartHook(() => {
      throw new Error('a defect of the start hook');
    });
    await expect(client.request('echo', 1)).rejects.toMatchObject({ code: 'PTCP_HANDLER_FAILED' });
    expect(client.stats()).toMatchObject({ total: 1, created: 1 });
  });
});

describe('a lease', () => {
  it('emits events and disposes of itself', async () => {
    const { port } = await scope.server([SurfaceController]);
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    const lease = await client.acquire();
    const noted = firstValueFrom(events);
    await lease.emit('noted', 'by a lease');
    expect(await noted).toBe('by a lease');
    expect(lease.peer).toBe(`127.0.0.1:${port}`);
    await lease[Symbol.asyncDispose]();
    expect(lease.isHeld).toBe(false);
    expect(lease.signal.aborted).toBe(true);
    await lease[Symbol.asyncDispose]();
    await expect(lease.emit('noted', 'late')).rejects.toMatchObject({ code: 'PTCP_LEASE_RELEASED' });
    expect(client.stats().inFlight).toBe(0);
  });
});

describe('the client under the Nest client', () => {
  it('refuses what send() and emit() have replaced, and gives its engine and settings', async () => {
    const { port } = await scope.server([SurfaceController]);
    const client = scope.client(port, { name: 'orders', pool: { min: 1, max: 1 } });
    const inner = client as unknown as { publish(): void; dispatchEvent(): void };
    for (const method of ['publish', 'dispatchEvent'] as const) {
      expect(() => {
        inner[method]();
      }).toThrow(expect.objectContaining({ code: 'PTCP_UNSUPPORTED' }));
    }
    await client.connect();
    expect(client.unwrap().connections).toHaveLength(1);
    expect(client.name).toBe('orders');
    expect(Object.isFrozen(client.settings)).toBe(true);
  });
});
