import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { native, nestJson, type PooledTcpContext } from '../../lib/index.js';
import { CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY } from '../support/certificates.js';
import { outcome } from '../support/combinations.js';
import { Scope } from '../support/nest-app.js';
import { RepliesController } from '../support/replies-controller.js';

const scope = new Scope();

@Controller()
class WireController {
  @MessagePattern('wire')
  wire(@Ctx() context: PooledTcpContext): string {
    return context.getSession().protocol;
  }
}

describe('one port', () => {
  it.each([
    ['plain', undefined],
    ['with TLS', { key: SERVER_KEY, cert: SERVER_CERTIFICATE }],
  ])('serves every kind of client at once, each in its own protocol, %s', async (_what, tls) => {
    const { port, strategy } = await scope.server([RepliesController, WireController], { tls });
    const secure = tls === undefined ? {} : { tls: { ca: CA_CERTIFICATE } };
    const secureStock = tls === undefined ? {} : { tlsOptions: { ca: CA_CERTIFICATE } };
    const clients = [
      scope.client(port, { ...secure, protocol: native() }),
      scope.client(port, { ...secure, codec: 'msgpack' }),
      scope.client(port, { ...secure, protocol: nestJson() }),
      scope.client(port, secure),
      scope.stockClient(port, secureStock),
      scope.stockClient(port, secureStock),
    ];
    await Promise.all(clients.map((client) => client.connect()));
    const wires = await Promise.all(clients.map((client) => firstValueFrom(client.send('wire', {}))));
    expect(wires).toEqual(['native', 'native', 'nest-json', 'native', 'nest-json', 'nest-json']);

    const numbers = Array.from({ length: 300 }, (_, i) => i);
    const all = await Promise.all(
      clients.map((client, c) =>
        Promise.all(numbers.map((i) => outcome(client, i % 3 === 0 ? 'later' : 'echo', `${c}/${i}`))),
      ),
    );
    expect(all).toEqual(
      clients.map((_, c) => numbers.map((i) => ({ values: [i % 3 === 0 ? { later: `${c}/${i}` } : `${c}/${i}`] }))),
    );
    expect(strategy.stats()).toMatchObject({ inFlight: 0, refused: 0, shed: 0 });
  });

  it('serves the others while one of them breaks the format', async () => {
    const { port } = await scope.server([RepliesController]);
    const ours = scope.client(port, { protocol: native() });
    const [stock, garbled] = [scope.stockClient(port), scope.stockClient(port)];
    await Promise.all([ours.connect(), stock.connect(), garbled.connect()]);
    const calls = [ours, stock].map((client) =>
      Promise.all(Array.from({ length: 100 }, (_, i) => outcome(client, 'later', i))),
    );
    garbled.unwrap<{ write(bytes: string): void }>().write('no frame at all');
    await expect(outcome(garbled, 'echo', 1)).resolves.toMatchObject({ values: [], error: expect.anything() });
    const answered = Array.from({ length: 100 }, (_, i) => ({ values: [{ later: i }] }));
    await expect(Promise.all(calls)).resolves.toEqual([answered, answered]);
    // It connects again by itself, as stock clients do.
    await expect(outcome(garbled, 'echo', 1)).resolves.toEqual({ values: [1] });
  });
});
