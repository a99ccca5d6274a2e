import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A stock Nest frame. */
export function nestFrame(packet: unknown): string {
  const json = JSON.stringify(packet);
  return `${json.length}#${json}`;
}

/** A peer that is not ours: writes what it is told and keeps what it gets. */
export class RawPeer {
  readonly socket: Socket;
  /** Settles when the connection is gone, however that happened. */
  readonly closed: Promise<void>;
  #received = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve();
      });
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
  }

  static async connect(port: number): Promise<RawPeer> {
    const socket = connect(port, '127.0.0.1');
    const peer = new RawPeer(socket);
    await once(socket, 'connect');
    return peer;
  }

  get text(): string {
    return this.#received.toString('utf8');
  }

  /** The stock Nest frames received so far; ASCII only. */
  get packets(): unknown[] {
    const packets: unknown[] = [];
    let rest = this.text;
    for (let hash = rest.indexOf('#'); hash > 0; hash = rest.indexOf('#')) {
      const end = hash + 1 + Number(rest.slice(0, hash));
      if (rest.length < end) break;
      packets.push(JSON.parse(rest.slice(hash + 1, end)));
      rest = rest.slice(end);
    }
    return packets;
  }

  /** Resolves with the first `count` packets; rejects when the connection closes before. */
  async receive(count: number): Promise<unknown[]> {
    while (this.packets.length < count) {
      if (this.socket.destroyed) throw new Error(`closed after ${this.packets.length} packets`);
      await Promise.race([once(this.socket, 'data'), this.closed]);
    }
    return this.packets.slice(0, count);
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  sendPacket(packet: unknown): void {
    this.send(nestFrame(packet));
  }
}

export interface RawServer {
  readonly port: number;
  readonly server: Server;
  readonly peers: readonly RawPeer[];
  close(): Promise<void>;
}

/** A server that does with each connection what it is told; by default it accepts and never answers. */
export async function startRawServer(onPeer: (peer: RawPeer) => void = () => undefined): Promise<RawServer> {
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = new RawPeer(socket);
    peers.push(peer);
    onPeer(peer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    server,
    peers,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const { socket } of peers) socket.destroy();
      await closed;
    },
  };
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = await startRawServer();
  await server.close();
  return server.port;
}

/** Connections of a listening server, counted from now on. */
export class ConnectionCount {
  open = 0;
  most = 0;
  total = 0;
  readonly sockets = new Set<Socket>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.open += 1;
      this.total += 1;
      this.most = Math.max(this.most, this.open);
      this.sockets.add(socket);
      socket.on('close', () => {
        this.open -= 1;
        this.sockets.delete(socket);
      });
    });
  }
}

/** Resolves once a condition holds, looked at once a turn of the event loop; the test's own timeout bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}
