import type { Socket } from 'node:net';
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
type ObservedSocket = Socket & { [EVENTS]?: TransportEvents };

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
