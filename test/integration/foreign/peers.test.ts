import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { lengthField, untilClose, type MessageCodec, type PooledTcpClientOptions } from '../../../lib/index.js';
import { bankCodec, bankFraming } from '../../support/foreign/bank.js';
import { commandOf, gatewayCodec, gatewayFrame, gatewayFraming } from '../../support/foreign/gateway.js';
import { Scope } from '../../support/nest-app.js';
import { RawPeer, startRawServer, until } from '../../support/sockets.js';

const scope = new Scope();
const BANK = { framing: bankFraming, codec: bankCodec } satisfies PooledTcpClientOptions;
const GATEWAY = { framing: gatewayFraming, codec: gatewayCodec() } satisfies PooledTcpClientOptions;
const ONE = { min: 1, max: 1 } as const;

const bank = (text: string): string => `${String(text.length).padStart(4, '0')}${text}`;
const response = (sequence: number, data: unknown): Buffer =>
  gatewayFrame(commandOf('ECHO', true), sequence, JSON.stringify(data));

/** A peer that does with each connection what it is told, and a client of it. */
async function against(onPeer: (peer: RawPeer, index: number) => void, options: PooledTcpClientOptions) {
  let connections = 0;
  const server = await startRawServer((peer) => {
    onPeer(peer, connections++);
  });
  scope.defer(() => server.close());
  return { server, client: scope.client(server.port, { pool: ONE, ...options }) };
}

/** Calls back with everything received so far, whenever more comes. */
function onBytes(peer: RawPeer, callback: (all: string) => void): void {
  peer.socket.on('data', () => {
    callback(peer.text);
  });
}

describe('a peer with ids', () => {
  it('may answer out of order, twice, and what nobody asked: 16 calls get their own replies', async () => {
    const { client, server } = await against((peer) => {
      peer.socket.on('data', () => {
        // Each request takes 12 bytes of header, 4 of length and a digit or two.
        if ((peer.text.match(/\[\d+\]/g) ?? []).length < 16) return;
        for (let sequence = 16; sequence > 0; sequence--) {
          peer.send(response(1000 + sequence, 'whose?'));
          peer.send(response(sequence, sequence));
          peer.send(response(sequence, 'again'));
        }
      });
    }, GATEWAY);
    const sent = Array.from({ length: 16 }, (_, i) => [i]);

    expect(await Promise.all(sent.map((data) => client.request('ECHO', data)))).toEqual(sent.map((_, i) => i + 1));
    expect(server.peers).toHaveLength(1);
  });

  it('may answer a call that was cancelled: the connection goes on, and nobody else gets the answer', async () => {
    const { client, server } = await against((peer) => {
      onBytes(peer, (all) => {
        if (all.includes('second')) peer.send(Buffer.concat([response(1, 'late'), response(2, 'for the second')]));
      });
    }, GATEWAY);
    const abort = new AbortController();
    const first = client.request('ECHO', 'first', { signal: abort.signal });
    await until(() => server.peers[0]?.text.includes('first') === true);
    abort.abort();

    await expect(first).rejects.toMatchObject({ code: 'PTCP_ABORTED' });
    expect(await client.request('ECHO', 'second')).toBe('for the second');
    expect(server.peers).toHaveLength(1);
  });
});

describe('a serial peer', () => {
  it('that answers after the call has timed out never answers the next: that goes over another connection', async () => {
    const { client, server } = await against((peer, index) => {
      onBytes(peer, (all) => {
        if (index > 0) peer.send(bank('0210fresh'));
        else if (all.includes('first')) peer.socket.on('end', () => peer.send(bank('0210late')));
      });
    }, BANK);

    await expect(client.request('0200', 'first', { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'PTCP_REQUEST_TIMEOUT',
      sent: true,
    });
    expect(await client.request('0200', 'second')).toBe('fresh');
    expect(server.peers).toHaveLength(2);
    await server.peers[0]?.closed;
  });

  it('that answers twice loses the connection, and the next call is served by another', async () => {
    const { client, server } = await against((peer, index) => {
      onBytes(peer, () => {
        peer.send(index === 0 ? bank('0210once') + bank('0210twice') : bank('0210fresh'));
      });
    }, BANK);

    expect(await client.request('0200', 'a')).toBe('once');
    await server.peers[0]?.closed;
    expect(await client.request('0200', 'b')).toBe('fresh');
  });

  it.each([
    ['a garbage length', 'HTTP/1.1 400 Bad Request', 'PTCP_FRAME_MALFORMED', '48545450'],
    ['a message of no type', bank('what?'), 'PTCP_PROTOCOL_VIOLATION', '776861743f'],
    ['half a frame and an end', '00100210', 'PTCP_FRAME_MALFORMED', 'short of a whole frame'],
    ['nothing and an end', '', 'PTCP_CONNECTION_LOST', 'closed the connection'],
  ])('that answers with %s costs one call, with a code and the bytes, and the pool goes on', async (...row) => {
    const [, bytes, code, text] = row;
    const { client } = await against((peer, index) => {
      onBytes(peer, () => {
        if (index > 0) peer.send(bank('0210fresh'));
        else peer.socket.end(bytes);
      });
    }, BANK);

    await expect(client.request('0200', 'a')).rejects.toMatchObject({
      code,
      sent: true,
      message: expect.stringContaining(text) as unknown,
    });
    expect(await client.request('0200', 'b')).toBe('fresh');
  });

  it('that breaks off in the middle of an answer is asked again, where the call is idempotent', async () => {
    const { client } = await against((peer, index) => {
      onBytes(peer, () => {
        if (index > 0) peer.send(bank('0210fresh'));
        else peer.socket.end('00100210');
      });
    }, BANK);

    expect(await client.request('0200', 'a', { idempotent: true })).toBe('fresh');
    expect(client.stats()).toMatchObject({ retries: 1, failures: 0 });
  });

  it('that is gone between two calls costs none', async () => {
    const { client, server } = await against((peer, index) => {
      onBytes(peer, () => {
        peer.send(bank(`0210${index}`));
      });
    }, BANK);

    expect(await client.request('0200', 'a')).toBe('0');
    server.peers[0]?.socket.destroy();
    await until(() => client.stats().total === 0 || server.peers.length > 1);
    expect(await client.request('0200', 'b')).toBe('1');
  });
});

describe('the modes against a serial peer', () => {
  it.each(['shared', 'exclusive', 'short'] as const)('%s: value, error, timeout, disconnect', async (mode) => {
    const { client } = await against(
      (peer) => {
        let taken = 0;
        onBytes(peer, (all) => {
          const text = all.slice(taken);
          taken = all.length;
          if (text.includes('0800')) peer.send(bank('0810'));
          if (text.includes('value')) peer.send(bank('0210answer'));
          else if (text.includes('error')) peer.send(bank('9999refused'));
          else if (text.includes('disconnect')) peer.socket.destroy();
        });
      },
      { ...BANK, pool: { mode, max: 2 } },
    );

    expect(await client.request('0200', 'value')).toBe('answer');
    await expect(client.request('0200', 'error')).rejects.toMatchObject({
      code: 'PTCP_HANDLER_FAILED',
      cause: 'refused',
    });
    await expect(client.request('0200', 'timeout', { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'PTCP_REQUEST_TIMEOUT',
      sent: true,
    });
    await expect(client.request('0200', 'disconnect')).rejects.toMatchObject({
      code: 'PTCP_CONNECTION_LOST',
      sent: true,
    });
    expect(await client.request('0200', 'value')).toBe('answer');
    await until(() => client.stats().active === 0);
    expect(client.stats()).toMatchObject({ inFlight: 0, waiting: 0, requests: 5, failures: 3 });
  });
});

describe('replies that end with their connection', () => {
  const finger: MessageCodec = {
    encode: ({ data }) => Buffer.from(`${String(data)}\r\n`),
    decode: (frame) => ({ data: String(frame) }),
  };

  it('are read until the peer closes, in mode short', async () => {
    const { client, server } = await against(
      (peer) => {
        onBytes(peer, (all) => {
          peer.send('Login: ');
          setImmediate(() => peer.socket.end(all.trim()));
        });
      },
      { framing: untilClose(), codec: finger, pool: { mode: 'short', max: 2 } },
    );

    expect(await Promise.all(['ann', 'bob'].map((name) => client.request('finger', name)))).toEqual([
      'Login: ann',
      'Login: bob',
    ]);
    expect(server.peers).toHaveLength(2);
    expect(client.stats().total).toBe(0);
  });
});

describe('a login', () => {
  it('may begin with a greeting of the peer, and takes several steps', async () => {
    const { client } = await against(
      (peer) => {
        peer.send(bank('0001hello, who is it?'));
        onBytes(peer, (all) => {
          if (all.endsWith('0100ann')) peer.send(bank('0110password?'));
          else if (all.endsWith('0101secret')) peer.send(bank('0111welcome'));
          else if (all.includes('0200')) peer.send(bank('0210paid'));
        });
      },
      {
        ...BANK,
        codec: {
          ...bankCodec,
          onConnect: async (connection) => {
            expect(await connection.receive()).toMatchObject({ pattern: '0001', data: 'hello, who is it?' });
            expect(await connection.request('0100', 'ann')).toBe('password?');
            expect(await connection.request('0101', 'secret', { timeoutMs: 1000 })).toBe('welcome');
          },
        },
      },
    );

    expect(await client.request('0200', '1 EUR')).toBe('paid');
  });

  it.each([
    ['is not answered in its time', () => undefined, 'PTCP_REQUEST_TIMEOUT'],
    ['is cut off', (peer: RawPeer) => peer.socket.destroy(), 'PTCP_HANDSHAKE_FAILED'],
    ['is refused', (peer: RawPeer) => peer.send(bank('9999who?')), 'PTCP_HANDLER_FAILED'],
  ])('that %s fails the dial, with the cause', async (_title, answer, code) => {
    const { client } = await against(
      (peer) => {
        onBytes(peer, () => {
          answer(peer);
        });
      },
      {
        framing: bankFraming,
        codec: { ...bankCodec, onConnect: (connection) => connection.request('0100', 'ann', { timeoutMs: 20 }) },
        pool: { ...ONE, acquireTimeoutMs: 200 },
      },
    );
    const error = (await client.request('0200', 'a').catch((thrown: unknown) => thrown)) as Error;

    expect(error).toMatchObject({ code: 'PTCP_ACQUIRE_TIMEOUT', sent: false });
    expect(error.cause).toMatchObject({ code: 'PTCP_HANDSHAKE_FAILED' });
    const { cause } = error.cause as Error;
    if (code !== 'PTCP_HANDSHAKE_FAILED') expect(cause).toMatchObject({ code });
  });
});

describe('a server of ours and a foreign client', () => {
  @Controller()
  class EchoController {
    @MessagePattern('0200')
    echo(@Payload() data: string): string {
      return data;
    }
  }

  const start = (options = {}) => scope.server([EchoController], { ...BANK, ...options });

  it('answers requests that come at once, in their order, and in single bytes', async () => {
    const { port } = await start();
    const peer = await RawPeer.connect(port);
    scope.defer(() => peer.socket.destroy());
    peer.send(bank('0200a') + bank('0200b') + bank('0800') + bank('0200c'));
    await until(() => peer.text.length >= 3 * 9 + 8);
    expect(peer.text.replace(bank('0810'), '')).toBe(bank('0210a') + bank('0210b') + bank('0210c'));

    peer.socket.setNoDelay(true);
    for (const byte of bank('0200d')) {
      peer.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => peer.text.endsWith(bank('0210d')));
  });

  it('closes it over garbage, over a frame that is too large, and over one that does not go on', async () => {
    const { port, strategy } = await start({ partialFrameTimeoutMs: 30, maxFrameBytes: 2048 });
    for (const bytes of ['GET / HTTP/1.1', bank('what?'), `9000${'x'.repeat(4000)}`, '00990200']) {
      const peer = await RawPeer.connect(port);
      peer.send(bytes);
      await peer.closed;
    }
    await until(() => strategy.stats().connections === 0);
    const peer = await RawPeer.connect(port);
    scope.defer(() => peer.socket.destroy());
    peer.send(bank('0200still here'));
    await until(() => peer.text === bank('0210still here'));
  });

  it('closes it when it says nothing, and when it has been silent', async () => {
    const { port } = await start({ firstFrameTimeoutMs: 30, idleTimeoutMs: 30, heartbeat: false });
    await (
      await RawPeer.connect(port)
    ).closed;
    const peer = await RawPeer.connect(port);
    peer.send(bank('0200a'));
    await until(() => peer.text === bank('0210a'));
    await peer.closed;
  });

  it('finishes its calls when it closes, and says goodbye where the protocol can', async () => {
    const server = await start({ codec: { ...bankCodec, goaway: () => Buffer.from('0830bye') } });
    const peer = await RawPeer.connect(server.port);
    peer.send(bank('0200a'));
    await until(() => peer.text === bank('0210a'));
    const closing = server.close();
    await peer.closed;
    await closing;
    expect(peer.text).toBe(bank('0210a') + bank('0830bye'));
  });
});

describe('a framing of four bytes, little endian, that counts a trailer', () => {
  it('works through both ends', async () => {
    @Controller()
    class AnyController {
      @MessagePattern('frame')
      reverse(@Payload() data: Buffer): Buffer {
        return Buffer.from(data).reverse();
      }
    }
    const framing = lengthField({ size: 4, byteOrder: 'little', adjustment: 1 });
    const { port } = await scope.server([AnyController], { framing });
    const client = scope.client(port, { framing });

    expect(await client.request('any', Buffer.from('abc'))).toEqual(Buffer.from('cba'));
  });
});
