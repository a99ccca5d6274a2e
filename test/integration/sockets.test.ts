import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { socketConnector } from '../../lib/connection/connector.js';
import type { SocketTransport } from '../../lib/connection/socket-transport.js';

const open: { destroy(): void }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.destroy();
});

/** A connection that our connector made, and the socket at the other end of it. */
async function connected(): Promise<{ transport: SocketTransport; peer: Socket }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({ destroy: () => server.close() });
  const { port } = server.address() as AddressInfo;
  const target = { address: `127.0.0.1:${port}`, host: '127.0.0.1', port } as Parameters<
    ReturnType<typeof socketConnector>
  >[0];
  const [transport, [peer]] = await Promise.all([
    socketConnector(false)(target, new AbortController().signal),
    once(server, 'connection') as Promise<[Socket]>,
  ]);
  open.push(transport, peer);
  return { transport: transport as SocketTransport, peer };
}

/** What arrives, up to the end. */
function heard(transport: SocketTransport): { readonly text: () => string; readonly ended: Promise<void> } {
  let text = '';
  const ended = new Promise<void>((resolve) => {
    transport.start({
      data: (chunk) => (text += chunk.toString()),
      drain: () => undefined,
      end: resolve,
      close: () => resolve(),
    });
  });
  return { text: () => text, ended };
}

describe('a socket of the client', () => {
  it('delivers what came before somebody listened, and what comes after it, in order', async () => {
    const { transport, peer } = await connected();
    peer.write('one ');
    while (transport.socket.bytesRead < 4) await new Promise(setImmediate);
    peer.write('two ');
    while (transport.socket.bytesRead < 8) await new Promise(setImmediate);
    const { text, ended } = heard(transport);
    peer.end('three');
    await ended;
    expect(text()).toBe('one two three');
  });

  it('reads to the same place as all others, and each hears its own bytes', async () => {
    const pairs = await Promise.all(Array.from({ length: 20 }, () => connected()));
    const listeners = pairs.map(({ transport }) => heard(transport));
    for (let round = 0; round < 50; round++)
      for (const [i, { peer }] of pairs.entries()) peer.write(`${i}:${'x'.repeat(i * 500)}${round} `);
    for (const { peer } of pairs) peer.end();
    await Promise.all(listeners.map(({ ended }) => ended));
    for (const [i, { text }] of listeners.entries())
      expect(text()).toBe(Array.from({ length: 50 }, (_, round) => `${i}:${'x'.repeat(i * 500)}${round} `).join(''));
  });
});
