import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { LARGE_BUFFER, LARGE_TEXT } from '../payloads.js';
import { BareWriter, readFrames } from './bare-frames.js';
import type { Call, Contender, Done } from './contender.js';
import { HOST } from './contender.js';

/**
 * The limit: `node:net`, a length of four bytes, and JSON or plain bytes. No ids (answers come in order), no
 * routes, no deadlines, no errors. It gathers the output of a tick, since without that it is no limit.
 */
export function bare(defaultConnections: number, serve: (socket: Socket) => void = echo): Contender {
  return {
    listen: ({ host = HOST }) =>
      new Promise((resolve) => {
        const server = createServer({ noDelay: true }, serve);
        server.listen(0, host, 16_384, () => {
          resolve({ port: (server.address() as AddressInfo).port });
        });
      }),
    connect: async ({ host = HOST, port, connections = defaultConnections }) => {
      const sockets = await Promise.all(Array.from({ length: connections }, () => open(host, port)));
      const clients = sockets.map((socket) => new BareClient(socket));
      let turn = 0;
      const call = (data: unknown): Call => {
        return (done) => {
          clients[turn++ % clients.length]?.call(data, done);
        };
      };
      return {
        echo: ({ value }) => call(value),
        large: call,
        connections: () => clients.length,
        close: () => closeAll(sockets),
      };
    },
    connectIdle: async (port, count) => {
      for (let i = 0; i < count; i++) await open(HOST, port);
    },
  };
}

function closeAll(sockets: readonly Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy();
  return Promise.resolve();
}

function echo(socket: Socket): void {
  const writer = new BareWriter(socket);
  readFrames(socket, (data) => {
    if (data === 'text') writer.write(LARGE_TEXT);
    else writer.write(data === 'buffer' ? LARGE_BUFFER : data);
  });
}

class BareClient {
  readonly #writer: BareWriter;
  #waiting: Done[] = [];
  #answered = 0;

  constructor(socket: Socket) {
    this.#writer = new BareWriter(socket);
    readFrames(socket, (data) => {
      const done = this.#waiting[this.#answered++];
      if (this.#answered === this.#waiting.length) {
        this.#waiting = [];
        this.#answered = 0;
      }
      done?.(undefined, data);
    });
  }

  call(data: unknown, done: Done): void {
    this.#waiting.push(done);
    this.#writer.write(data);
  }
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.on('connect', () => {
      resolve(socket);
    });
    socket.on('error', reject);
  });
}

export const contenders: Readonly<Record<string, Contender>> = { bare: bare(1), 'bare-4': bare(4) };
