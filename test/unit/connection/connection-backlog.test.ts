import { describe, expect, it } from '@jest/globals';
import { Connection } from '../../../lib/connection/connection.js';
import type { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { MemoryTransport } from '../../support/memory-transport.js';
import { settled, StepClock } from '../../support/step-clock.js';

/** A connection whose peer does not read: so many bytes wait in the socket already. */
async function behind(bytes: number, maxPendingWriteBytes = 1_000_000) {
  const [client, server] = MemoryTransport.pair();
  const received: Buffer[] = [];
  client.start({
    data: (chunk) => received.push(Buffer.from(chunk)),
    drain: () => undefined,
    end: () => undefined,
    close: () => undefined,
  });
  let closed: PooledTcpError | undefined;
  const connection = new Connection(
    { transport: server, clock: new StepClock(), heartbeat: false, maxPendingWriteBytes },
    {
      receive: () => undefined,
      ended: () => undefined,
      sendPing: () => undefined,
      closed: (reason) => (closed = reason),
    },
  );
  connection.start();
  connection.ready(false);
  server.pause();
  const write = async (text: string): Promise<void> => {
    connection.output.appendText(text);
    connection.schedule();
    await settled();
  };
  await write('f'.repeat(bytes));
  return { connection, server, write, text: () => Buffer.concat(received).toString(), closed: () => closed };
}

describe('a connection whose socket is behind', () => {
  it('does not keep a slab for each little thing that it is given', async () => {
    const { server, write, text } = await behind(64 * 1024);
    const kept: Buffer[] = [];
    const send = server.write.bind(server);
    server.write = (parts) => {
      kept.push(...parts);
      send(parts);
    };
    for (let i = 0; i < 500; i++) await write(`${i},`);
    expect(kept).toHaveLength(500);
    // Their memory is their own, or a pool of Node's, and never a slab of 64 KiB.
    expect(kept.filter(({ buffer }) => buffer.byteLength >= 64 * 1024)).toEqual([]);
    server.resume();
    await settled();
    expect(text().slice(64 * 1024)).toBe(Array.from({ length: 500 }, (_, i) => `${i},`).join(''));
  });

  it('by a little goes on writing, with bytes of their own', async () => {
    const { server, write, text } = await behind(10);
    for (let i = 0; i < 100; i++) await write(`${i},`);
    expect(server.writes).toHaveLength(101);
    server.resume();
    await settled();
    expect(text()).toBe('f'.repeat(10) + Array.from({ length: 100 }, (_, i) => `${i},`).join(''));
  });

  it('counts what it keeps against maxPendingWriteBytes', async () => {
    const { write, closed } = await behind(64 * 1024, 100_000);
    for (let i = 0; i < 100 && closed() === undefined; i++) await write('x'.repeat(1_000));
    expect(closed()).toMatchObject({ code: 'PTCP_WRITE_OVERFLOW' });
  });

  it('sends what it keeps before it ends', async () => {
    const { connection, server, write, text } = await behind(64 * 1024);
    await write('the last words');
    connection.end();
    server.resume();
    await settled();
    expect(text().endsWith('the last words')).toBe(true);
  });
});
