import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { firstValueFrom, of, take, toArray } from 'rxjs';
import {
  delimiter,
  fixedLength,
  PooledTcpContext,
  type MessageCodec,
  type PooledTcpClientOptions,
  type PooledTcpServerOptions,
} from '../../../lib/index.js';
import { bankCodec, bankFraming, bcdFraming } from '../../support/foreign/bank.js';
import { gatewayCodec, gatewayFraming } from '../../support/foreign/gateway.js';
import { Scope } from '../../support/nest-app.js';
import { CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY } from '../../support/certificates.js';
import { ConnectionCount, until } from '../../support/sockets.js';

const scope = new Scope();
const noted: unknown[] = [];

@Controller()
class ForeignController {
  /** Most calls of `echo` at once. */
  static most = 0;
  #running = 0;

  @MessagePattern(['0200', 'ECHO', 'frame'])
  async echo(@Payload() data: unknown): Promise<unknown> {
    this.#running += 1;
    ForeignController.most = Math.max(ForeignController.most, this.#running);
    // Long enough for whatever else is on its way to arrive.
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    this.#running -= 1;
    return data;
  }

  @MessagePattern('0300')
  observable(@Payload() data: string): unknown {
    return of(data.toUpperCase());
  }

  @MessagePattern('0400')
  fail(@Payload() data: string): never {
    throw new RpcException(`refused ${data}`);
  }

  @MessagePattern('CONNECT')
  connect(@Payload() name: string, @Ctx() context: PooledTcpContext): string {
    if (name === 'mallory') throw new RpcException('who?');
    context.getSession().data.set('name', name);
    return 'welcome';
  }

  @MessagePattern('SUBMIT')
  submit(@Payload() data: unknown, @Ctx() context: PooledTcpContext): unknown {
    const session = context.getSession();
    session.push('DELIVER', data);
    return { by: session.data.get('name'), data };
  }

  @MessagePattern('TERMINATE')
  terminate(): null {
    noted.push('goodbye');
    return null;
  }

  @EventPattern(['DELIVERED', 'NOTE'])
  note(@Payload() data: unknown): void {
    noted.push(data);
  }
}

async function pair(server: PooledTcpServerOptions, client: PooledTcpClientOptions = {}) {
  noted.length = 0;
  ForeignController.most = 0;
  const running = await scope.server([ForeignController], server);
  const { framing, codec } = server;
  return {
    server: running,
    connections: new ConnectionCount(running.netServer),
    client: scope.client(running.port, { framing, codec, ...client }),
  };
}

describe('a serial protocol between our own ends', () => {
  it.each([
    ['four ASCII digits', bankFraming],
    ['two bytes of BCD', bcdFraming],
    ['lines', delimiter('\r\n')],
  ])('is a pool over %s: values, errors of handlers, and errors of the codec', async (_title, framing) => {
    const { client, connections } = await pair({ framing, codec: bankCodec }, { pool: { min: 1, max: 3 } });

    const sent = Array.from({ length: 20 }, (_, i) => `amount ${i}`);
    expect(await Promise.all(sent.map((data) => client.request('0200', data)))).toEqual(sent);
    expect(connections.most).toBeLessThanOrEqual(3);
    expect(await client.request('0300', 'stream of one')).toBe('STREAM OF ONE');
    await expect(client.request('0400', 'x')).rejects.toMatchObject({
      code: 'PTCP_HANDLER_FAILED',
      cause: 'refused x',
    });
    await expect(client.request('no type', 'x')).rejects.toMatchObject({
      code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
      sent: false,
      message: expect.stringContaining('codec.encode() threw: a message type has four digits') as unknown,
    });
    await expect(client.request('0777', 'x')).rejects.toMatchObject({ code: 'PTCP_HANDLER_FAILED' });
    expect(client.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
  });

  it('has one call at a time on each connection in mode shared, whether the codec says so or not', async () => {
    for (const codec of [bankCodec, { ...bankCodec, correlation: undefined }]) {
      const { client } = await pair({ framing: bankFraming, codec }, { pool: { min: 2, max: 2 } });
      await client.connect();
      await Promise.all(Array.from({ length: 10 }, (_, i) => client.request('0200', `${i}`)));

      expect(ForeignController.most).toBe(2);
      expect(client.stats().total).toBe(2);
    }
  });

  it('lends a whole connection in mode exclusive, and opens one for each call in mode short', async () => {
    for (const mode of ['exclusive', 'short'] as const) {
      const { client, connections } = await pair(
        { framing: bankFraming, codec: bankCodec },
        { pool: { mode, max: 2 } },
      );
      expect(await Promise.all(['a', 'b', 'c', 'd'].map((data) => client.request('0200', data)))).toEqual([
        'a',
        'b',
        'c',
        'd',
      ]);
      expect(ForeignController.most).toBeLessThanOrEqual(2);
      if (mode === 'short') expect(connections.total).toBe(4);
    }
  });

  it('runs the calls of a lease one after another', async () => {
    const { client } = await pair({ framing: bankFraming, codec: bankCodec });
    await using lease = await client.acquire();

    expect(await Promise.all(['a', 'b', 'c'].map((data) => lease.request('0200', data)))).toEqual(['a', 'b', 'c']);
    expect(ForeignController.most).toBe(1);
  });

  it('works over TLS and over several endpoints', async () => {
    const tls = { key: SERVER_KEY, cert: SERVER_CERTIFICATE };
    const options = { framing: bankFraming, codec: bankCodec, tls };
    const servers = [
      await scope.server([ForeignController], options),
      await scope.server([ForeignController], options),
    ];
    const client = scope.client(undefined, {
      framing: bankFraming,
      codec: bankCodec,
      tls: { ca: CA_CERTIFICATE },
      endpoints: servers.map(({ port }) => `127.0.0.1:${port}`),
    });
    const sent = Array.from({ length: 10 }, (_, i) => `${i}`);

    expect(await Promise.all(sent.map((data) => client.request('0200', data)))).toEqual(sent);
    expect(client.stats().endpoints.map(({ total }) => total > 0)).toEqual([true, true]);
  });
});

describe('frames without a codec', () => {
  it('are Buffers in and out, for the pattern frame', async () => {
    const { client } = await pair({ framing: fixedLength(5) });

    expect(await client.request('whatever', Buffer.from('12345'))).toEqual(Buffer.from('12345'));
    await expect(client.request('x', 'text')).rejects.toMatchObject({
      code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
      sent: false,
    });
    await expect(client.request('x', Buffer.from('1'), { idempotent: true })).rejects.toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      sent: false,
    });
    expect(client.stats()).toMatchObject({ created: 2, retries: 0 });
  });
});

describe('a protocol with ids between our own ends', () => {
  const login = async (connection: { request(pattern: string, data: unknown): Promise<unknown> }, name = 'alice') => {
    expect(await connection.request('CONNECT', name)).toBe('welcome');
  };
  const codec: MessageCodec = gatewayCodec({
    onConnect: (connection) => login(connection),
    onClose: async (connection) => {
      await connection.request('TERMINATE');
    },
  });

  it('has many calls on one connection, logs in, is pushed to, answers pushes, and logs out', async () => {
    const { client, connections } = await pair(
      { framing: gatewayFraming, codec },
      { pool: { min: 1, max: 1, maxInFlight: 16 } },
    );
    const pushes = firstValueFrom(client.pushes('DELIVER').pipe(take(40), toArray()));
    const sent = Array.from({ length: 40 }, (_, i) => i);

    expect(await Promise.all(sent.map((data) => client.request('SUBMIT', data)))).toEqual(
      sent.map((data) => ({ by: 'alice', data })),
    );
    expect(await pushes).toEqual(sent);
    await Promise.all(sent.map((data) => client.request('ECHO', data)));
    expect(ForeignController.most).toBe(16);
    await firstValueFrom(client.emit('NOTE', 'an event'));
    await until(() => noted.length === 41);
    expect(noted).toEqual([...sent.map(() => 'ok'), 'an event']);
    await client.close();
    expect(noted.at(-1)).toBe('goodbye');
    expect(connections.total).toBe(1);
  });

  it('refuses the dial when the login is refused, with what the peer said', async () => {
    const mallory = gatewayCodec({ onConnect: (connection) => login(connection, 'mallory') });
    const { client } = await pair(
      { framing: gatewayFraming, codec },
      { codec: mallory, pool: { acquireTimeoutMs: 200 } },
    );

    const error = await client.request('ECHO', 1).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT', sent: false });
    expect((error as Error).cause).toMatchObject({
      code: 'PTCP_HANDSHAKE_FAILED',
      cause: { code: 'PTCP_HANDLER_FAILED', cause: 'who?' },
    });
  });
});
