import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { FaultProxy, type FaultProxyOptions } from '../../../lib/testing/index.js';
import { RawPeer, startRawServer, until, type RawServer } from '../../support/sockets.js';

let server: RawServer;
let proxy: FaultProxy;
const clients: RawPeer[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  await proxy.close();
  await server.close();
});

async function start(options: Partial<FaultProxyOptions> = {}): Promise<void> {
  server = await startRawServer();
  proxy = await FaultProxy.listen({ target: { host: '127.0.0.1', port: server.port }, ...options });
}

/** A connection through the proxy, with its two ends. */
async function connect({ allowHalfOpen = false } = {}): Promise<{ client: RawPeer; peer: RawPeer }> {
  const before = server.peers.length;
  const client = await RawPeer.connect(proxy.port);
  clients.push(client);
  await until(() => server.peers.length > before);
  const peer = server.peers[before];
  if (peer === undefined) throw new Error('the server saw no connection');
  client.socket.allowHalfOpen = allowHalfOpen;
  peer.socket.allowHalfOpen = allowHalfOpen;
  return { client, peer };
}

/** The code of the error that a socket ends with; undefined for a plain end. */
async function endOf({ socket }: RawPeer): Promise<string | undefined> {
  let code: string | undefined;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
  return code;
}

describe('bytes', () => {
  it('pass both ways, and are counted', async () => {
    await start();
    const { client, peer } = await connect();
    client.send('hello');
    await until(() => peer.text === 'hello');
    peer.send('hi');
    await until(() => client.text === 'hi');
    expect(proxy.connections[0]?.bytes('toServer')).toEqual({ received: 5, delivered: 5 });
    expect(proxy.connections[0]?.bytes('toClient')).toEqual({ received: 2, delivered: 2 });
  });

  it('the end of one direction leaves the other open', async () => {
    await start();
    const { client, peer } = await connect({ allowHalfOpen: true });
    const ended = once(peer.socket, 'end');
    client.socket.end('last words');
    await ended;
    peer.socket.end('answer');
    await once(client.socket, 'end');
    expect(peer.text).toBe('last words');
    expect(client.text).toBe('answer');
    await until(() => proxy.connections.length === 0);
  });

  it('a receiver that does not read stops the sender: memory stays bounded', async () => {
    await start({ windowBytes: 64 * 1024 });
    const { client, peer } = await connect();
    peer.socket.pause();
    const total = 64 * 1024 * 1024;
    client.send(Buffer.alloc(total));
    const [connection] = proxy.connections;
    const passed = (): number => connection?.bytes('toServer').received ?? 0;
    // Until a hundred turns bring nothing more.
    for (let last = -1, quiet = 0; quiet < 100; quiet = passed() === last ? quiet + 1 : 0) {
      last = passed();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { received, delivered } = connection?.bytes('toServer') ?? { received: 0, delivered: 0 };
    expect(received).toBeLessThan(total);
    expect(received - delivered).toBeLessThanOrEqual(64 * 1024 + 64 * 1024);
  });
});

describe('faults', () => {
  it('are set for one direction', async () => {
    await start();
    const { client, peer } = await connect();
    proxy.set({ blackhole: true }, { direction: 'toServer' });
    client.send('lost');
    peer.send('kept');
    await until(() => client.text === 'kept' && proxy.connections[0]?.bytes('toServer').received === 4);
    expect(peer.text).toBe('');
  });

  it('are set for new connections only, or for open ones only', async () => {
    await start();
    await connect();
    proxy.set({ latencyMs: 7 }, { connections: 'new' });
    proxy.set({ sliceBytes: 3 }, { connections: 'open' });
    await connect();
    expect(proxy.connections.map((connection) => connection.faults('toClient'))).toMatchObject([
      { latencyMs: 0, sliceBytes: 3 },
      { latencyMs: 7, sliceBytes: 0 },
    ]);
    proxy.heal();
    await connect();
    expect(proxy.connections.map((connection) => connection.faults('toClient').latencyMs)).toEqual([0, 0, 0]);
  });

  it('are set for one connection', async () => {
    await start();
    const first = await connect();
    const second = await connect();
    proxy.connections[0]?.set({ stall: true });
    first.client.send('a');
    second.client.send('b');
    await until(() => second.peer.text === 'b' && proxy.connections[0]?.bytes('toServer').received === 1);
    expect(first.peer.text).toBe('');
    proxy.connections[0]?.heal();
    await until(() => first.peer.text === 'a');
  });

  it('a limit cuts the stream after exactly so many bytes', async () => {
    await start();
    const { client, peer } = await connect();
    proxy.set({ limit: { afterBytes: 3, then: 'reset' } }, { direction: 'toServer' });
    const end = endOf(client);
    client.send('abcdef');
    await expect(end).resolves.toBe('ECONNRESET');
    // Where bytes and a reset arrive together, libuv reports the bytes and a plain end.
    await peer.closed;
    expect(peer.text).toBe('abc');
  });
});

describe('closing', () => {
  it('reset() sends a reset to both ends', async () => {
    await start();
    const { client, peer } = await connect();
    const ends = Promise.all([endOf(client), endOf(peer)]);
    proxy.reset();
    await expect(ends).resolves.toEqual(['ECONNRESET', 'ECONNRESET']);
    await until(() => proxy.connections.length === 0);
  });

  it('reset() of one direction tells the other end nothing', async () => {
    await start();
    const { client, peer } = await connect();
    const end = endOf(client);
    proxy.reset('toClient');
    await expect(end).resolves.toBe('ECONNRESET');
    peer.send('into the void');
    await until(() => proxy.connections[0]?.bytes('toClient').received === 13);
    expect(peer.socket.destroyed).toBe(false);
  });

  it('end() is a half-close: the receiver sees the end and can still send', async () => {
    await start();
    const { client, peer } = await connect({ allowHalfOpen: true });
    const ended = once(client.socket, 'end');
    proxy.end('toClient');
    await ended;
    client.send('still here');
    await until(() => peer.text === 'still here');
  });

  it('reset() in the moment of a half-close leaves nothing open in the proxy', async () => {
    await start();
    await connect({ allowHalfOpen: true });
    proxy.end('toClient');
    proxy.end('toServer');
    proxy.reset();
    await until(() => proxy.connections.length === 0);
  });

  it('reset() and a half-close before the server has been reached leave nothing open', async () => {
    await start();
    const { port } = proxy;
    const client = await RawPeer.connect(port);
    await until(() => proxy.connections.length === 1);
    proxy.end('toServer');
    proxy.reset();
    await client.closed;
    await until(() => proxy.connections.length === 0);
  });

  it('a reset by one end reaches the other as a reset', async () => {
    await start();
    const { client, peer } = await connect();
    const end = endOf(peer);
    client.socket.resetAndDestroy();
    await expect(end).resolves.toBe('ECONNRESET');
    await until(() => proxy.connections.length === 0);
  });

  it('ends that give up on a blackhole leave nothing open in the proxy', async () => {
    await start();
    const { client, peer } = await connect();
    proxy.set({ blackhole: true });
    client.socket.destroy();
    peer.socket.destroy();
    await until(() => proxy.connections.length === 0);
  });

  it('refuse() refuses new connections and keeps open ones; accept() listens on the same port again', async () => {
    await start();
    const { port } = proxy;
    const { client, peer } = await connect();
    proxy.refuse();
    await expect(RawPeer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    client.send('a');
    await until(() => peer.text === 'a');
    await proxy.accept();
    expect(proxy.port).toBe(port);
    await connect();
    expect(proxy.accepted).toBe(2);
  });

  it('a server that refuses resets the client', async () => {
    await start();
    await server.close();
    const client = await RawPeer.connect(proxy.port);
    await expect(endOf(client)).resolves.toBe('ECONNRESET');
    await until(() => proxy.connections.length === 0);
  });

  it('pointAt() sends new connections to another server', async () => {
    await start();
    const other = await startRawServer();
    proxy.pointAt({ host: '127.0.0.1', port: other.port });
    const client = await RawPeer.connect(proxy.port);
    clients.push(client);
    client.send('moved');
    await until(() => other.peers[0]?.text === 'moved');
    expect(server.peers).toHaveLength(0);
    await other.close();
  });

  it('close() closes everything, also what is delayed, and can be called twice', async () => {
    await start();
    const { client } = await connect();
    proxy.set({ latencyMs: 60_000 });
    client.send('never arrives');
    await until(() => proxy.connections[0]?.bytes('toServer').received === 13);
    await Promise.all([proxy.close(), proxy.close()]);
    await client.closed;
    expect(proxy.connections).toHaveLength(0);
    await expect(RawPeer.connect(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('options', () => {
  it('a target that is none is refused', async () => {
    await start();
    await expect(FaultProxy.listen({ target: {} as never })).rejects.toMatchObject({ code: 'PTCP_OPTION_INVALID' });
    await expect(FaultProxy.listen({} as never)).rejects.toMatchObject({ code: 'PTCP_OPTION_INVALID' });
  });

  it('a port in use rejects with the system’s error', async () => {
    await start();
    const options = { target: { host: '127.0.0.1', port: 1 }, port: proxy.port };
    await expect(FaultProxy.listen(options)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
