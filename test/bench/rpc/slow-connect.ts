import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { HOST } from './contenders/contender.js';

/** A relay in front of a server that takes so long to accept: a far or busy peer, without a kernel that delays packets. */
export class SlowConnect {
  readonly port: number;
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  /** Only the beginning is slow: what follows is passed on as it comes. */
  static open(port: number, delayMs: number): Promise<SlowConnect> {
    const sockets = new Set<Socket>();
    const track = (socket: Socket): Socket => {
      sockets.add(socket);
      // Either side's end or failure ends the other; there is nobody to tell.
      return socket
        .setNoDelay(true)
        .on('error', () => socket.destroy())
        .on('close', () => sockets.delete(socket));
    };
    const server = createServer({ pauseOnConnect: true }, (near) => {
      track(near);
      setTimeout(() => {
        const far = track(connect(port, HOST));
        near.pipe(far).pipe(near);
        near.on('close', () => far.destroy());
        far.on('close', () => near.destroy());
      }, delayMs);
    });
    const close = (): Promise<void> =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => {
          resolve();
        });
      });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, HOST, () => {
        resolve(new SlowConnect((server.address() as AddressInfo).port, close));
      });
    });
  }

  close(): Promise<void> {
    return this.#close();
  }
}
