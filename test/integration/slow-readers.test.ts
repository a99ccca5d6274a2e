import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import { Observable } from 'rxjs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PooledTcpContext } from '../../lib/index.js';
import { HeldBytes } from '../support/held-bytes.js';
import { Scope } from '../support/nest-app.js';
import { ConnectionCount, RawPeer, until } from '../support/sockets.js';

const ITEM_BYTES = 16 * 1024;
const ITEM = 'x'.repeat(ITEM_BYTES);
let produced = 0;
let stopped = 0;

@Controller()
class EndlessController {
  @MessagePattern('iterable')
  async *iterable(): AsyncGenerator<string> {
    try {
      for (;;) {
        await nextTurn();
        produced += 1;
        yield ITEM;
      }
    } finally {
      stopped += 1;
    }
  }

  @MessagePattern('observable')
  observable(): Observable<string> {
    return new Observable((subscriber) => {
      void (async () => {
        while (!subscriber.closed) {
          await nextTurn();
          produced += 1;
          subscriber.next(ITEM);
        }
      })();
      return () => {
        stopped += 1;
      };
    });
  }

  @MessagePattern('polite')
  polite(@Ctx() context: PooledTcpContext): Observable<string> {
    return new Observable((subscriber) => {
      void (async () => {
        while (!subscriber.closed) {
          await context.whenWritable();
          await nextTurn();
          produced += 1;
          subscriber.next(ITEM);
        }
      })();
      return () => {
        stopped += 1;
      };
    });
  }

  @MessagePattern('echo')
  echo(): string {
    return 'echo';
  }
}

const scope = new Scope();
let held: HeldBytes;
beforeEach(() => {
  produced = 0;
  stopped = 0;
  held = new HeldBytes();
});
afterEach(() => {
  held.restore();
});

/** Resolves once nothing has been produced for so many turns: whoever could go on would have. */
async function standstill(turns = 2_000): Promise<number> {
  for (let before = -1; before !== produced;) {
    before = produced;
    for (let i = 0; i < turns; i++) await nextTurn();
  }
  return produced;
}

describe('an endless stream whose consumer takes one item and no more', () => {
  it.each(['iterable', 'polite'])('holds a window of it, and nothing at the server: %s', async (pattern) => {
    const streamWindowBytes = 256 * 1024;
    const { port } = await scope.server([EndlessController]);
    const client = scope.client(port, { streamWindowBytes, pool: { min: 1, max: 1 } });
    const iterator = client.stream<string>(pattern, {})[Symbol.asyncIterator]();
    await iterator.next();
    const count = await standstill();
    expect(count * ITEM_BYTES).toBeLessThanOrEqual(streamWindowBytes + 3 * ITEM_BYTES);
    // At most the one that was under way when the credit went out.
    expect(held.most).toBeLessThan(2 * ITEM_BYTES);
    expect(await client.request('echo', {})).toBe('echo');
    await iterator.return?.();
    await until(() => stopped === 1);
    expect(held.total).toBe(0);
  });

  it('holds no more than maxPendingWriteBytes of an Observable that cannot wait, then ends that call alone', async () => {
    const maxPendingWriteBytes = 2 * 1024 * 1024;
    const { port } = await scope.server([EndlessController], { maxPendingWriteBytes });
    const client = scope.client(port, { pool: { min: 1, max: 1 } });
    const iterator = client.stream<string>('observable', {})[Symbol.asyncIterator]();
    await iterator.next();
    await until(() => stopped === 1);
    expect(held.most).toBeGreaterThan(maxPendingWriteBytes / 2);
    expect(held.most).toBeLessThanOrEqual(maxPendingWriteBytes);
    expect(held.total).toBe(0);
    expect(await client.request('echo', {})).toBe('echo');
  });
});

describe('a stock client that does not read', () => {
  it.each(['iterable', 'polite'])(
    'stops the source of its answers, which goes on when it reads: %s',
    async (pattern) => {
      const { port, netServer } = await scope.server([EndlessController]);
      const connections = new ConnectionCount(netServer);
      const peer = await RawPeer.connect(port);
      scope.defer(() => peer.socket.destroy());
      peer.socket.pause();
      peer.sendPacket({ pattern, data: {}, id: '1' });
      await until(() => produced > 0);
      const [socket] = connections.sockets;
      const count = await standstill();
      // What the kernels' buffers took went beyond; here waits what the connection calls writable, and one item.
      expect(socket?.writableLength).toBeLessThanOrEqual(256 * 1024 + 2 * ITEM_BYTES);
      expect(held.total).toBe(0);
      const other = scope.client(port);
      expect(await other.request('echo', {})).toBe('echo');
      peer.socket.resume();
      await until(() => produced > count + 10);
      peer.socket.destroy();
      await until(() => stopped === 1);
    },
  );
});
