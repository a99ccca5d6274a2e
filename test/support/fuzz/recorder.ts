import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** All bytes of one connection, in each direction. */
export interface Recording {
  readonly toServer: Buffer;
  readonly toClient: Buffer;
}

/** Passes bytes between clients and a server, and writes down every connection. */
export class Recorder {
  readonly port: number;
  readonly #server;
  readonly #sessions: { readonly toServer: Buffer[]; readonly toClient: Buffer[] }[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async listen(target: number): Promise<Recorder> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const recorder = new Recorder(server);
    server.on('connection', (client: Socket) => {
      recorder.#relay(client, connect(target, '127.0.0.1'));
    });
    return recorder;
  }

  /** Ends it. @returns what was said */
  async close(): Promise<Recording[]> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    return this.#sessions.map(({ toServer, toClient }) => ({
      toServer: Buffer.concat(toServer),
      toClient: Buffer.concat(toClient),
    }));
  }

  #relay(client: Socket, server: Socket): void {
    const session = { toServer: [] as Buffer[], toClient: [] as Buffer[] };
    this.#sessions.push(session);
    for (const [from, to, bytes] of [
      [client, server, session.toServer],
      [server, client, session.toClient],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        bytes.push(chunk);
        to.write(chunk);
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    }
  }
}
