import type { OnReadOpts, Socket } from 'node:net';
import { duration, type OptionRules, type OptionsOf } from '../common/options.js';
import type { Transport, TransportEvents } from './transport.js';

export interface KeepAliveSettings {
  /** Milliseconds of silence before the kernel's first probe. Default 30 000. */
  initialDelayMs: number;
}

export type KeepAliveOptions = OptionsOf<KeepAliveSettings>;

export const keepAliveRules: OptionRules<KeepAliveSettings> = {
  initialDelayMs: duration({ default: 30_000, min: 1_000, text: 'Silence before the kernel’s first probe.' }),
};

/** Who listens to a socket: its listeners are the same functions for all of them, so that an idle one holds none. */
const EVENTS = Symbol('events');
/** What arrived before somebody listened. */
const EARLY = Symbol('early');
type ObservedSocket = Socket & { [EVENTS]?: TransportEvents; [EARLY]?: Buffer[] | undefined };

/** Where the sockets of this process read to, one after the other: what is read is taken before the next read begins. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * For `net.connect()`: lets a socket read without memory of its own for each read. Node takes 64 KiB each time otherwise,
 * which is a fifteenth of what a small call costs its client; and a large reply came with as much garbage as it has bytes,
 * for which V8 stops to mark its heap. Sockets that a server accepts, and TLS, have no such option in Node 20.
 *
 * @param socketOf the socket that is made with it
 * @returns undefined where a read holds on to its place until it is done: on Windows
 */
export function readInPlace(socketOf: () => Socket): OnReadOpts | undefined {
  if (process.platform === 'win32') return undefined;
  return {
    buffer: readBuffer,
    callback: (bytes) => {
      const socket: ObservedSocket = socketOf();
      const chunk = readBuffer.subarray(0, bytes);
      const events = socket[EVENTS];
      if (events === undefined) socket[EARLY] = [...(socket[EARLY] ?? []), Buffer.from(chunk)];
      else events.data(chunk);
      return true;
    },
  };
}

/** An open `net` or `tls` socket as a {@link Transport}. */
export class SocketTransport implements Transport {
  readonly socket: Socket;
  readonly peer: string;

  constructor(socket: Socket, peer: string, keepAlive: KeepAliveSettings | false) {
    this.socket = socket;
    this.peer = peer;
    // Output is already gathered into one write a tick: waiting for more in the kernel only adds latency.
    socket.setNoDelay(true);
    if (keepAlive !== false) socket.setKeepAlive(true, keepAlive.initialDelayMs);
  }

  get pendingBytes(): number {
    return this.socket.writableLength;
  }

  start(events: TransportEvents): void {
    const socket: ObservedSocket = this.socket;
    socket[EVENTS] = events;
    socket.on('data', onData).on('drain', onDrain).on('end', onEnd).on('error', ignore).on('close', onClose);
    const early = socket[EARLY];
    if (early !== undefined) {
      socket[EARLY] = undefined;
      process.nextTick(() => {
        for (const chunk of early) events.data(chunk);
      });
    }
    // A socket that failed while it was handed over has emitted its events already.
    if (this.socket.destroyed)
      queueMicrotask(() => {
        events.close(this.socket.errored ?? undefined);
      });
  }

  write(parts: readonly Buffer[]): void {
    if (parts.length === 1) {
      this.socket.write(parts[0] ?? '');
      return;
    }
    this.socket.cork();
    for (const part of parts) this.socket.write(part);
    this.socket.uncork();
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

function onData(this: ObservedSocket, chunk: Buffer): void {
  this[EVENTS]?.data(chunk);
}

function onDrain(this: ObservedSocket): void {
  this[EVENTS]?.drain();
}

function onEnd(this: ObservedSocket): void {
  this[EVENTS]?.end();
}

function onClose(this: ObservedSocket): void {
  this[EVENTS]?.close(this.errored ?? undefined);
}

function ignore(): void {
  // `close` follows, and the socket knows why.
}
