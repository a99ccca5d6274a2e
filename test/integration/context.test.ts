import { beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, TcpContext, type ClientTCP } from '@nestjs/microservices';
import { firstValueFrom, Observable, Subject, take, toArray } from 'rxjs';
import { native, nestJson, PooledTcpContext, type PooledTcpClient } from '../../lib/index.js';
import { Scope } from '../support/nest-app.js';

/** What handlers have seen. */
const contexts = new Subject<PooledTcpContext>();
const unsubscribed = new Subject<string>();

@Controller()
class ContextController {
  @MessagePattern('facts')
  facts(@Payload() _data: unknown, @Ctx() context: PooledTcpContext): unknown {
    const { peer, protocol, tlsIdentity } = context.getSession();
    return {
      isStock: context instanceof TcpContext,
      pattern: context.getPattern(),
      metadata: context.getMetadata() ?? null,
      remotePort: context.getSocketRef().netSocket.remotePort,
      inMs: (context.getDeadline()?.getTime() ?? NaN) - Date.now(),
      peer,
      protocol,
      tlsIdentity: tlsIdentity ?? null,
    };
  }

  @MessagePattern({ what: 'facts', of: 'object' })
  objectFacts(@Ctx() context: PooledTcpContext): unknown {
    return JSON.parse(context.getPattern());
  }

  @MessagePattern(7)
  numberFacts(@Ctx() context: PooledTcpContext): unknown {
    return context.getPattern();
  }

  @MessagePattern('hang')
  hang(@Payload() _data: unknown, @Ctx() context: PooledTcpContext): Promise<never> {
    contexts.next(context);
    return new Promise(() => undefined);
  }

  @MessagePattern('watch')
  watch(@Payload() _data: unknown, @Ctx() context: PooledTcpContext): Observable<number> {
    return new Observable<number>((subscriber) => {
      subscriber.next(1);
      contexts.next(context);
      return () => {
        unsubscribed.next('watch');
      };
    });
  }

  @MessagePattern('visits')
  visits(@Payload() _data: unknown, @Ctx() context: PooledTcpContext): number {
    const { data } = context.getSession();
    const visits = Number(data.get('visits') ?? 0) + 1;
    data.set('visits', visits);
    return visits;
  }

  @MessagePattern('push-twice')
  pushTwice(@Payload() data: unknown, @Ctx() context: PooledTcpContext): string {
    const session = context.getSession();
    session.push('quote', data);
    session.push('other', data);
    session.push('quote', { again: data });
    return 'pushed';
  }

  @MessagePattern('push-failure')
  pushFailure(@Payload() _data: unknown, @Ctx() context: PooledTcpContext): unknown {
    try {
      context.getSession().push('quote', 1);
      return 'pushed';
    } catch (error) {
      return (error as { code: string }).code;
    }
  }

  @MessagePattern('buffer')
  buffer(@Payload() data: unknown): unknown {
    return Buffer.isBuffer(data) ? Buffer.concat([data, Buffer.from([0xff])]) : 'no buffer';
  }

  @MessagePattern('buffers')
  buffers(@Payload() count: number): Observable<Buffer> {
    return new Observable((subscriber) => {
      for (let i = 0; i < count; i++) subscriber.next(Buffer.alloc(i, i));
      subscriber.complete();
    });
  }

  @EventPattern('happened')
  happened(@Payload() _data: unknown, @Ctx() context: unknown): void {
    contexts.next(context as PooledTcpContext);
  }
}

const scope = new Scope();
let port: number;

beforeEach(async () => {
  ({ port } = await scope.server([ContextController]));
});

interface Facts {
  inMs: number;
  peer: string;
  remotePort: number;
}

describe.each([native(), nestJson()])('a handler’s context, $protocol', (protocol) => {
  it('has the stock getters, and knows the session', async () => {
    const client = scope.client(port, { protocol });
    const facts = await client.request<Facts>('facts', {}, { metadata: { tenant: 'a', trace: 'ü' } });
    expect(facts).toMatchObject({
      isStock: true,
      pattern: 'facts',
      metadata: { tenant: 'a', trace: 'ü' },
      protocol: protocol.protocol,
      peer: `127.0.0.1:${facts.remotePort}`,
      tlsIdentity: null,
    });
    await expect(client.request('facts', {})).resolves.toMatchObject({ metadata: null });
  });

  it('has the pattern as text', async () => {
    const client = scope.client(port, { protocol });
    await expect(client.request({ of: 'object', what: 'facts' }, {})).resolves.toEqual({ what: 'facts', of: 'object' });
    await expect(client.request(7, {})).resolves.toBe('7');
  });

  it('keeps state for as long as the connection', async () => {
    const client = scope.client(port, { protocol, pool: { min: 1, max: 1 } });
    await expect(client.request('visits', {})).resolves.toBe(1);
    await expect(client.request('visits', {})).resolves.toBe(2);
    const other = scope.client(port, { protocol, pool: { min: 1, max: 1 } });
    await expect(other.request('visits', {})).resolves.toBe(1);
  });

  it('has a signal that is aborted when the caller disconnects', async () => {
    const client = scope.client(port, { protocol });
    const reached = firstValueFrom(contexts);
    const failure = client.request('hang', {}).catch((error: unknown) => error);
    const signal = (await reached).getSignal();
    expect(signal.aborted).toBe(false);
    const aborted = new Promise((resolve) => {
      signal.addEventListener('abort', resolve);
    });
    client.destroy();
    await aborted;
    expect(signal.reason).toMatchObject({ code: 'PTCP_CONNECTION_LOST' });
    await expect(failure).resolves.toMatchObject({ code: 'PTCP_POOL_CLOSED', sent: true });
  });

  it('stops a handler’s Observable when the caller disconnects', async () => {
    const client = scope.client(port, { protocol });
    const stopped = firstValueFrom(unsubscribed);
    client.send('watch', {}).subscribe({ error: () => undefined });
    await firstValueFrom(contexts);
    client.destroy();
    await expect(stopped).resolves.toBe('watch');
  });

  it('of an event has a signal that never fires, and no deadline', async () => {
    const client = scope.client(port, { protocol });
    const reached = firstValueFrom(contexts);
    client.emit('happened', {});
    const context = await reached;
    expect(context.getSignal().aborted).toBe(false);
    expect(context.getDeadline()).toBeUndefined();
    expect(context.getPattern()).toBe('happened');
  });
});

describe('on the native protocol', () => {
  it('the deadline travels with the request', async () => {
    const client = scope.client(port, { protocol: native() });
    const { inMs } = await client.request<Facts>('facts', {}, { timeoutMs: 4_000 });
    expect(inMs).toBeGreaterThan(2_000);
    expect(inMs).toBeLessThanOrEqual(4_010);
  });

  it('a call without a timeout has no deadline', async () => {
    const client = scope.client(port, { protocol: native() });
    await expect(client.request('facts', {}, { timeoutMs: Infinity })).resolves.toMatchObject({ inMs: null });
  });

  it('the signal is aborted when the caller’s own signal fires', async () => {
    const client = scope.client(port, { protocol: native(), pool: { min: 1, max: 1 } });
    const reached = firstValueFrom(contexts);
    const abort = new AbortController();
    const failure = client.request('hang', {}, { signal: abort.signal }).catch((error: unknown) => error);
    const signal = (await reached).getSignal();
    abort.abort(new Error('changed my mind'));
    await expect(failure).resolves.toMatchObject({
      code: 'PTCP_ABORTED',
      sent: true,
      cause: expect.objectContaining({ message: 'changed my mind' }),
    });
    // The next answer on the same connection comes after the cancel.
    await client.request('visits', {});
    expect(signal.aborted).toBe(true);
  });

  it('the signal is aborted when the request times out', async () => {
    const client = scope.client(port, { protocol: native(), pool: { min: 1, max: 1 } });
    await client.connect();
    const reached = firstValueFrom(contexts);
    const failure = client.request('hang', {}, { timeoutMs: 200 }).catch((error: unknown) => error);
    const signal = (await reached).getSignal();
    await expect(failure).resolves.toMatchObject({ code: 'PTCP_REQUEST_TIMEOUT', sent: true });
    await client.request('visits', {});
    expect(signal.aborted).toBe(true);
  });

  it('unsubscribing stops the handler’s Observable and aborts the signal', async () => {
    const client = scope.client(port, { protocol: native() });
    const stopped = firstValueFrom(unsubscribed);
    const reached = firstValueFrom(contexts);
    const values = await firstValueFrom(client.send<number>('watch', {}).pipe(take(1), toArray()));
    expect(values).toEqual([1]);
    await stopped;
    expect((await reached).getSignal().aborted).toBe(true);
    expect(client.stats().inFlight).toBe(0);
  });

  it('a Buffer arrives as a Buffer, untouched, both ways', async () => {
    const client = scope.client(port, { protocol: native() });
    for (const size of [0, 1, 255, 16_384, 70_000]) {
      const data = Buffer.from(Array.from({ length: size }, (_, i) => i % 256));
      const answer = await client.request<Buffer>('buffer', data);
      expect(Buffer.isBuffer(answer)).toBe(true);
      expect(answer.equals(Buffer.concat([data, Buffer.from([0xff])]))).toBe(true);
    }
  });

  it('a stream of Buffers keeps their borders', async () => {
    const client = scope.client(port, { protocol: native() });
    const buffers = await firstValueFrom(client.send<Buffer>('buffers', 300).pipe(toArray()));
    expect(buffers.map((buffer) => buffer.length)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(buffers.every((buffer, i) => buffer.every((byte) => byte === i % 256))).toBe(true);
  });

  it('pushes reach those who subscribed to their pattern', async () => {
    const client = scope.client(port, { protocol: native() });
    const quotes = firstValueFrom(client.pushes('quote').pipe(take(2), toArray()));
    await expect(client.request('push-twice', { price: 1 })).resolves.toBe('pushed');
    await expect(quotes).resolves.toEqual([{ price: 1 }, { again: { price: 1 } }]);
  });

  it('a push into a connection that is gone says so', async () => {
    const client = scope.client(port, { protocol: native() });
    const reached = firstValueFrom(contexts);
    client.request('hang', {}).catch(() => undefined);
    const context = await reached;
    const gone = new Promise((resolve) => {
      context.getSignal().addEventListener('abort', resolve);
    });
    client.destroy();
    await gone;
    expect(() => {
      context.getSession().push('quote', 1);
    }).toThrow(expect.objectContaining({ code: 'PTCP_CONNECTION_LOST' }));
  });
});

describe('on the stock wire', () => {
  it.each<[string, () => ClientTCP | PooledTcpClient]>([
    ['our client', () => scope.client(port, { protocol: nestJson() })],
    ['the stock client', () => scope.stockClient(port)],
  ])('a push to %s is refused with a code', async (_who, connect) => {
    await expect(firstValueFrom(connect().send('push-failure', {}))).resolves.toBe('PTCP_UNSUPPORTED');
  });

  it('the stock client’s handler has the same context', async () => {
    await expect(firstValueFrom(scope.stockClient(port).send('facts', {}))).resolves.toMatchObject({
      isStock: true,
      pattern: 'facts',
      protocol: 'nest-json',
      metadata: null,
      inMs: null,
    });
  });
});
