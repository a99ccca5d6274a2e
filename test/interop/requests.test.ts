import { describe, expect, it } from '@jest/globals';
import { firstValueFrom } from 'rxjs';
import { native, nestJson, PooledTcpClient, PooledTcpError } from '../../lib/index.js';
import { COMBINATIONS, forEachCombination } from '../support/combinations.js';
import { Scope } from '../support/nest-app.js';
import { RepliesController } from '../support/replies-controller.js';

const OURS = COMBINATIONS.filter(({ client }) => client === 'ours');

forEachCombination(OURS, [RepliesController], (link) => {
  const ours = (): PooledTcpClient => {
    const { client } = link();
    if (client instanceof PooledTcpClient) return client;
    throw new TypeError('only our client has request()');
  };

  it.each<[string, string, unknown, unknown]>([
    ['the value', 'sum', [1, 2, 3], 6],
    ['the last item of a stream', 'count', 5, 4],
    ['undefined where there is no value', 'nothing', {}, undefined],
    ['null', 'empty', {}, null],
  ])('request() resolves with %s', async (_what, pattern, data, value) => {
    await expect(ours().request(pattern, data)).resolves.toBe(value);
  });

  it.each<[string, unknown]>([
    ['rpc-text', { status: 'error', message: 'out of stock' }],
    ['rpc-object', { code: 'OUT_OF_STOCK', left: 0 }],
    ['plain-error', { status: 'error', message: 'Internal server error' }],
  ])('request() rejects with the handler’s answer as the cause: %s', async (pattern, cause) => {
    const failure = await ours()
      .request(pattern, {})
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PooledTcpError);
    expect(failure).toMatchObject({ code: 'PTCP_HANDLER_FAILED', sent: true, cause });
  });

  it('request() rejects for an unknown pattern', async () => {
    await expect(ours().request('nobody', {})).rejects.toMatchObject({ code: 'PTCP_NO_HANDLER', sent: false });
  });

  it('request() rejects for data that cannot be serialised, unsent, and touches no other call', async () => {
    const client = ours();
    const others = Array.from({ length: 50 }, (_, i) => client.request('later', i));
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    for (const data of [2n ** 64n, cycle, { toJSON: () => JSON.parse('{') as unknown }]) {
      const failure = await client.request('echo', data).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE', sent: false });
    }
    await expect(Promise.all(others)).resolves.toHaveLength(50);
    expect(client.stats().inFlight).toBe(0);
  });

  it('emit() errors for data that cannot be serialised', async () => {
    await expect(firstValueFrom(ours().emit('created', 2n ** 64n))).rejects.toMatchObject({
      code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
      sent: false,
    });
  });
});

for (const options of [{ protocol: native() }, { protocol: nestJson() }, { codec: 'msgpack' }] as const) {
  describe(`an answer that cannot be serialised, ${'codec' in options ? options.codec : options.protocol.protocol}`, () => {
    const scope = new Scope();

    it('fails its own call with a code, and no other on the same connection', async () => {
      const { port } = await scope.server([RepliesController]);
      const client = scope.client(port, { ...options, pool: { min: 1, max: 1 } });
      const others = Array.from({ length: 50 }, (_, i) => client.request('later', i));
      await expect(client.request('bigint', {})).rejects.toMatchObject({
        code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
        sent: true,
      });
      await expect(client.request('bigint-item', {})).rejects.toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE' });
      await expect(Promise.all(others)).resolves.toHaveLength(50);
      expect(client.stats().endpoints[0]).toMatchObject({ created: 1, total: 1 });
    });
  });
}

describe('on a connection of its own', () => {
  const scope = new Scope();

  it('a stock client gets an answer that cannot be serialised as an error of that call', async () => {
    const client = scope.stockClient((await scope.server([RepliesController])).port);
    await expect(firstValueFrom(client.send('bigint', {}))).rejects.toMatchObject({
      status: 'error',
      code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
    });
    await expect(firstValueFrom(client.send('sum', [1, 2]))).resolves.toBe(3);
  });

  it('request() rejects for metadata that is not made of strings, unsent, and touches no other call', async () => {
    const { port } = await scope.server([RepliesController]);
    const client = scope.client(port, { protocol: native() });
    await client.connect();
    const others = Array.from({ length: 50 }, (_, i) => client.request('later', i));
    const closed = { ...client.stats().endpoints[0]?.closed };
    for (const wrong of [{ n: 1 }, { n: 1n }, 'text']) {
      const metadata = wrong as unknown as Record<string, string>;
      const failure = await client.request('echo', '', { metadata }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE', sent: false });
    }
    await expect(Promise.all(others)).resolves.toHaveLength(50);
    expect(client.stats().endpoints[0]?.closed).toEqual(closed);
  });
});
