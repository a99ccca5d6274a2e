import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload, type ClientTCP } from '@nestjs/microservices';
import { firstValueFrom, timeout, TimeoutError } from 'rxjs';
import { PooledTcpClient } from '../../lib/index.js';
import { COMBINATIONS, outcome } from '../support/combinations.js';
import { Scope } from '../support/nest-app.js';
import { ConnectionCount, freePort, until } from '../support/sockets.js';

/** Calls of `hold` that wait to be let go. */
const held: (() => void)[] = [];

@Controller()
class HoldController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('hold')
  hold(@Payload() data: unknown): Promise<unknown> {
    return new Promise((resolve) => {
      held.push(() => {
        resolve(data);
      });
    });
  }
}

const FAST = { backoff: { initialMs: 5, maxMs: 20 }, drainTimeoutMs: 0 };

/** Fifty calls at once, each answered with its own. */
async function echoes(client: PooledTcpClient | ClientTCP): Promise<void> {
  const numbers = Array.from({ length: 50 }, (_, i) => i);
  const answers = await Promise.all(numbers.map((i) => outcome(client, 'echo', i)));
  expect(answers).toEqual(numbers.map((i) => ({ values: [i] })));
}

describe.each(COMBINATIONS)('from $name', (combination) => {
  const scope = new Scope();

  it('calls go on when the server is back on its port, whatever was lost with it', async () => {
    const first = await combination.startServer(scope, [HoldController]);
    const client = combination.createClient(scope, first.port, FAST);
    let connections = new ConnectionCount(first.netServer);
    await client.connect();
    for (let round = 0; round < 3; round++) {
      const server = round === 0 ? first : await combination.startServer(scope, [HoldController], { port: first.port });
      if (round > 0) connections = new ConnectionCount(server.netServer);
      await echoes(client);
      const lost = outcome(client, 'hold', round);
      await until(() => held.length === 1);
      // Not a drain: what a crash is to its clients.
      const closing = server.close();
      for (const socket of connections.sockets) socket.destroy();
      await expect(lost).resolves.toMatchObject({ values: [], error: expect.anything() });
      held.splice(0);
      await closing;
    }
    await combination.startServer(scope, [HoldController], { port: first.port });
    await echoes(client);
  }, 20_000);

  it('a call before the server is there fails, and one after it has come is answered', async () => {
    const port = await freePort();
    const client = combination.createClient(scope, port, { ...FAST, pool: { acquireTimeoutMs: 50 } });
    // The stock client repeats the error of a dial that failed until its socket has closed, a turn later.
    const forgotten =
      client instanceof PooledTcpClient ? undefined : new Promise<void>((resolve) => client.on('close', resolve));
    await expect(outcome(client, 'echo', 1)).resolves.toMatchObject({ values: [], error: expect.anything() });
    await combination.startServer(scope, [HoldController], { port });
    await forgotten;
    await echoes(client);
  });

  it('a call that rxjs gives up leaves the connection in order, and its late answer finds nobody', async () => {
    const { port } = await combination.startServer(scope, [HoldController]);
    const client = combination.createClient(scope, port, { pool: { min: 1, max: 1 } });
    await client.connect();
    const given = firstValueFrom(client.send('hold', 'late').pipe(timeout({ first: 30 })));
    await expect(given).rejects.toBeInstanceOf(TimeoutError);
    await until(() => held.length === 1);
    held.pop()?.();
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const answers = await Promise.all(numbers.map((i) => outcome(client, 'echo', i)));
    expect(answers).toEqual(numbers.map((i) => ({ values: [i] })));
    if (client instanceof PooledTcpClient) expect(client.stats()).toMatchObject({ inFlight: 0, total: 1, created: 1 });
  });

  it('our client gives a call up by itself, and says that it was sent', async () => {
    const { port } = await combination.startServer(scope, [HoldController]);
    const client = combination.createClient(scope, port, { requestTimeoutMs: 200 });
    await client.connect();
    if (!(client instanceof PooledTcpClient)) {
      // The stock client has no timeout of its own: the call stays open until the connection does not.
      const call = outcome(client, 'hold', 1);
      await until(() => held.length === 1);
      client.close();
      await expect(call).resolves.toEqual({ values: [], error: new Error('Connection closed') });
    } else {
      await expect(outcome(client, 'hold', 1)).resolves.toMatchObject({
        error: { code: 'PTCP_REQUEST_TIMEOUT', sent: true },
      });
    }
    for (const letGo of held.splice(0)) letGo();
  });
});
