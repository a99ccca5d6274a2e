import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { concat, NEVER, of, type Observable } from 'rxjs';
import { nestJson, type PooledTcpServerOptions } from '../../lib/index.js';
import { Scope, type RunningPooledServer } from '../support/nest-app.js';
import { nestFrame, RawPeer, until } from '../support/sockets.js';

const scope = new Scope();
const HELLO = nestFrame({ pattern: 'pooled-tcp:hello', id: 'h', data: { versions: [1], maxFrameBytes: 8_388_608 } });
/** Message types of the native protocol, as docs/PROTOCOL.md numbers them. */
const TYPE = { request: 1, event: 2, cancel: 7, ping: 8, credit: 12, fragment: 13 } as const;
let started = 0;
let letGo: (() => void)[] = [];

@Controller()
class TargetController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('slow')
  slow(): Promise<number> {
    started += 1;
    return new Promise((resolve) => {
      letGo.push(() => {
        resolve(1);
      });
    });
  }

  @EventPattern('noted')
  noted(@Payload() data: unknown): Promise<unknown> {
    started += 1;
    return new Promise((resolve) => {
      letGo.push(() => {
        resolve(data);
      });
    });
  }

  @EventPattern('noted in a stream')
  notedInStream(@Payload() data: unknown): Observable<unknown> {
    started += 1;
    return concat(NEVER, of(data));
  }

  @MessagePattern('large')
  large(): string {
    return 'x'.repeat(64 * 1024);
  }
}

afterEach(() => {
  for (const end of letGo) end();
  letGo = [];
  started = 0;
});

/** Runs an attack while a client of good manners calls on a connection of its own: none of its calls may fail. */
async function whileOthersCall(
  options: PooledTcpServerOptions,
  attack: (server: RunningPooledServer) => Promise<void>,
): Promise<RunningPooledServer> {
  const server = await scope.server([TargetController], { maxConnectionsPerHost: 0, ...options });
  const client = scope.client(server.port, { pool: { min: 1, max: 1 } });
  await client.connect();
  let answered = 0;
  let isOver = false;
  const calls = (async () => {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- set while this waits
    while (!isOver) {
      const sent = `call ${answered}`;
      expect(await client.request('echo', sent)).toBe(sent);
      answered += 1;
      await nextTurn();
    }
  })();
  // A call that fails ends the test, and not only the loop.
  await Promise.race([attack(server), calls]);
  const before = answered;
  await Promise.race([until(() => answered >= before + 10), calls]);
  isOver = true;
  await calls;
  expect(client.stats()).toMatchObject({ total: 1, failures: 0, endpoints: [{ created: 1 }] });
  return server;
}

async function native(port: number): Promise<RawPeer> {
  const peer = await RawPeer.connect(port);
  peer.send(HELLO);
  await peer.receive(1);
  return peer;
}

function frame(type: number, flags: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(6);
  head.writeUInt32BE(body.length + 2);
  head.set([type, flags], 4);
  return Buffer.concat([head, body]);
}

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A request that spells its pattern. */
function request(id: number, pattern: string, number = 0): Buffer {
  return frame(TYPE.request, 0x10, u32(id), u16(number), u16(pattern.length), Buffer.from(pattern));
}

/** Writes until the other side closes, without waiting for it to read. */
async function flood(peer: RawPeer, chunkOf: (i: number) => Buffer | string, chunks: number): Promise<void> {
  for (let i = 0; i < chunks && !peer.socket.destroyed; i++) {
    if (!peer.socket.write(chunkOf(i)))
      await Promise.race([new Promise((go) => peer.socket.once('drain', go)), peer.closed]);
  }
}

describe('a hostile peer costs itself its connection at most, while others’ calls succeed', () => {
  it('a slow sender is closed with PTCP_FRAME_TIMEOUT', async () => {
    await whileOthersCall({ partialFrameTimeoutMs: 100 }, async ({ port }) => {
      const stock = await RawPeer.connect(port);
      stock.sendPacket({ id: '1', pattern: 'echo', data: 1 });
      await stock.receive(1);
      const ours = await native(port);
      stock.send('1000#{"id":');
      ours.send(request(1, 'echo').subarray(0, 9));
      await Promise.all([stock.closed, ours.closed]);
      for (const peer of [stock, ours]) expect(peer.text).toContain('PTCP_FRAME_TIMEOUT');
    });
  });

  it('a never-reader is closed once maxPendingWriteBytes wait for it', async () => {
    await whileOthersCall({ maxPendingWriteBytes: 1024 * 1024 }, async ({ port, strategy }) => {
      const stock = await RawPeer.connect(port);
      stock.socket.pause();
      await flood(stock, (i) => nestFrame({ id: String(i), pattern: 'large', data: 1 }), 2_000);
      await until(() => strategy.stats().connections === 1);
    });
  });

  it('a slow reader is served at its own pace', async () => {
    await whileOthersCall({ maxPendingWriteBytes: 64 * 1024 * 1024 }, async ({ port }) => {
      const peer = await RawPeer.connect(port);
      peer.socket.pause();
      for (let i = 0; i < 50; i++) peer.sendPacket({ id: String(i), pattern: 'large', data: 1 });
      for (let i = 0; peer.text.length < 50 * 64 * 1024; i++) {
        peer.socket.resume();
        await nextTurn();
        peer.socket.pause();
        await nextTurn();
      }
      expect(peer.packets).toHaveLength(50);
      peer.socket.destroy();
    });
  });

  it.each<[string, Buffer | string, string]>([
    ['garbage', Buffer.alloc(100_000, 0xf7), 'PTCP_FRAME_MALFORMED'],
    ['an oversize frame', '9999999999#', 'PTCP_FRAME_TOO_LARGE'],
    ['an oversize native frame', Buffer.concat([Buffer.from(HELLO), u32(0xffff_ffff)]), 'PTCP_FRAME_TOO_LARGE'],
    [
      'an oversize message in fragments',
      Buffer.concat([Buffer.from(HELLO), frame(TYPE.fragment, 0x12, u32(0xffff_ffff), u32(1))]),
      'PTCP_FRAME_TOO_LARGE',
    ],
    [
      'an id that is in use',
      Buffer.concat([Buffer.from(HELLO), request(1, 'slow'), request(1, 'slow')]),
      'PTCP_PROTOCOL_VIOLATION',
    ],
  ])('%s is answered with a code and a close', async (_what, bytes, code) => {
    await whileOthersCall({}, async ({ port }) => {
      const peer = await RawPeer.connect(port);
      peer.send(bytes);
      await peer.closed;
      expect(peer.text).toContain(code);
    });
  });

  it.each<[string, string]>([
    ['data', `{"id":"1","pattern":"echo","data":${deep('[', ']')}}`],
    ['objects as data', `{"id":"1","pattern":"echo","data":${deep('{"a":', '}', '1')}}`],
    ['a pattern', `{"id":"1","pattern":${deep('{"a":', '}', '1')}}`],
    ['an id', `{"id":${deep('[', ']')},"pattern":"echo","data":1}`],
    ['metadata', `{"id":"1","pattern":"echo","data":1,"metadata":${deep('[', ']')}}`],
    [
      'credentials',
      `{"id":"h","pattern":"pooled-tcp:hello","data":{"versions":[1],"maxFrameBytes":8192,"credentials":${deep('[', ']')}}}`,
    ],
  ])('JSON of 100 000 levels as %s does not stop the server', async (_what, json) => {
    await whileOthersCall({}, async ({ port }) => {
      const peer = await RawPeer.connect(port);
      peer.send(`${json.length}#${json}`);
      peer.sendPacket({ id: 'next', pattern: 'echo', data: 1 });
      await until(() => peer.text !== '' || peer.socket.destroyed);
      peer.socket.destroy();
    });
  });

  it.each(['__proto__', 'constructor', 'prototype'])('the key %s pollutes nothing', async (key) => {
    await whileOthersCall({}, async ({ port }) => {
      const evil = `{"${key}":{"polluted":"yes","prototype":{"polluted":"yes"}}}`;
      const peer = await RawPeer.connect(port);
      for (const json of [
        `{"id":"1","pattern":"echo","data":${evil},"metadata":${evil},"${key}":{"polluted":"yes"}}`,
        `{"id":"2","pattern":${evil},"data":1}`,
        `{"id":"3","pattern":"${key}","data":1}`,
      ])
        peer.send(`${json.length}#${json}`);
      const packets = await peer.receive(3);
      expect(packets).toHaveLength(3);
      expect(peer.text).toContain(`"response":${evil}`);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
      expect((Function.prototype as unknown as Record<string, unknown>)['polluted']).toBeUndefined();
      peer.socket.destroy();
    });
  });

  it('a cancel flood does not start more handlers than maxInFlightPerConnection', async () => {
    await whileOthersCall({ maxInFlightPerConnection: 50 }, async ({ port, strategy }) => {
      const peer = await native(port);
      await flood(
        peer,
        (i) =>
          Buffer.concat(
            Array.from({ length: 100 }, (_, k) => [
              request(i * 100 + k + 1, 'slow'),
              frame(TYPE.cancel, 0, u32(i * 100 + k + 1)),
            ]).flat(),
          ),
        100,
      );
      await until(() => peer.text.includes('maxInFlightPerConnection'));
      expect(started).toBe(50);
      peer.socket.destroy();
      await until(() => strategy.stats().connections === 1);
    });
  });

  it.each(['noted', 'noted in a stream'])(
    'an event flood starts no more handlers than maxInFlightPerConnection, and the rest is dropped and counted: %s',
    async (pattern) => {
      await whileOthersCall({ maxInFlightPerConnection: 50 }, async ({ port, strategy }) => {
        const peer = await native(port);
        const event = frame(TYPE.event, 0x10, u16(0), u16(pattern.length), Buffer.from(pattern));
        await flood(peer, () => Buffer.concat(Array.from({ length: 100 }, () => event)), 100);
        await until(() => strategy.stats().droppedEvents === 10_000 - 50);
        expect(started).toBe(50);
        // The connection goes on, and what has ended makes room.
        for (const end of letGo.splice(0, 5)) end();
        peer.send(request(1, 'echo'));
        if (pattern === 'noted') await until(() => peer.text.length > 100);
        peer.socket.destroy();
        await until(() => strategy.stats().connections === 1);
      });
    },
  );

  it('a message that trickles in fragments is closed with PTCP_FRAME_TIMEOUT', async () => {
    await whileOthersCall({ partialFrameTimeoutMs: 100 }, async ({ port }) => {
      const peer = await native(port);
      peer.send(frame(TYPE.fragment, 0x12, u32(1_000_000), u16(1)));
      while (!peer.socket.destroyed) {
        peer.send(frame(TYPE.fragment, 2, Buffer.alloc(1)));
        await nextTurn();
      }
      expect(peer.text).toContain('PTCP_FRAME_TIMEOUT');
    });
  });

  it('many large messages that never become whole take no more than maxPartialBytes', async () => {
    await whileOthersCall({ maxPartialBytes: 4 * 1024 * 1024 }, async ({ port, strategy }) => {
      const peers = await Promise.all(Array.from({ length: 20 }, () => RawPeer.connect(port)));
      const part = Buffer.concat([Buffer.from('8000000#'), Buffer.alloc(1024 * 1024, 0x20)]);
      for (const peer of peers) {
        peer.send(part);
      }
      // At most four of them have room.
      const told = (): number => peers.filter(({ text }) => text.includes('PTCP_SERVER_OVERLOADED')).length;
      await until(() => told() >= 16);
      expect(strategy.stats().connections).toBeGreaterThan(4);
      for (const { socket } of peers) socket.destroy();
      await until(() => strategy.stats().connections === 1);
    });
  });

  it('cancels of calls that do not exist, and credit for them, are ignored', async () => {
    await whileOthersCall({}, async ({ port }) => {
      const peer = await native(port);
      await flood(
        peer,
        (i) =>
          Buffer.concat(
            Array.from({ length: 500 }, (_, k) => [
              frame(TYPE.cancel, 0, u32(i * 500 + k)),
              frame(TYPE.credit, 0, u32(i + 7), u32(k)),
            ]).flat(),
          ),
        100,
      );
      peer.send(request(1, 'echo'));
      peer.send(frame(TYPE.ping, 0, u32(77)));
      await until(() => peer.text.length > 100);
      peer.socket.destroy();
    });
  });

  it('a heartbeat flood of a peer that does not read waits in less than 1 MiB', async () => {
    // If more waited, the connection would be closed.
    await whileOthersCall({ maxPendingWriteBytes: 1024 * 1024 }, async ({ port, strategy }) => {
      const peer = await native(port);
      peer.socket.pause();
      const pings = Buffer.concat(Array.from({ length: 10_000 }, (_, k) => frame(TYPE.ping, 0, u32(k))));
      // 20 MB of them: more than the kernels' buffers hold of answers.
      await flood(peer, () => pings, 200);
      for (let turn = 0; turn < 100; turn++) await nextTurn();
      expect([peer.socket.destroyed, strategy.stats().connections]).toEqual([false, 2]);
      peer.socket.destroy();
      await until(() => strategy.stats().connections === 1);
    });
  });

  it.each([
    ['of one pattern too many', (i: number) => String(i).padEnd(256, 'p')],
    ['of patterns too long to be remembered', () => 'p'.repeat(257)],
  ])('a pattern-table flood %s is closed with PTCP_PROTOCOL_VIOLATION', async (_what, patternOf) => {
    await whileOthersCall({}, async ({ port }) => {
      const peer = await native(port);
      await flood(peer, (i) => request(i + 1, patternOf(i), i + 1), 1_025);
      await peer.closed;
      expect(peer.text).toContain('PTCP_PROTOCOL_VIOLATION');
    });
  });

  it('a half-open flood fills maxConnections, is closed in time, and leaves room again', async () => {
    const server = await whileOthersCall(
      { maxConnections: 50, firstFrameTimeoutMs: 200 },
      async ({ port, strategy }) => {
        const peers = await Promise.all(Array.from({ length: 200 }, () => RawPeer.connect(port)));
        expect(strategy.stats().connections).toBeLessThanOrEqual(50);
        await Promise.all(peers.map(({ closed }) => closed));
      },
    );
    await expect(scope.client(server.port).request('echo', 'room')).resolves.toBe('room');
    expect(server.strategy.stats().refusedBy.maxConnections).toBeGreaterThan(0);
  });

  it('a reconnect storm is over when it is over', async () => {
    const server = await whileOthersCall({ maxConnectionsPerHost: 40 }, async ({ port, strategy }) => {
      for (let round = 0; round < 10; round++) {
        const peers = await Promise.all(Array.from({ length: 60 }, () => RawPeer.connect(port)));
        for (const [i, peer] of peers.entries()) {
          if (i % 2 === 0) peer.send(HELLO);
          if (i % 3 === 0) peer.socket.resetAndDestroy();
          else peer.socket.destroy();
        }
      }
      await until(() => strategy.stats().connections === 1);
    });
    const client = scope.client(server.port, { protocol: nestJson() });
    await expect(client.request('echo', 'served')).resolves.toBe('served');
  });
});

function deep(open: string, close: string, middle = ''): string {
  return open.repeat(100_000) + middle + close.repeat(100_000);
}
