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
    let failure: Error | undefined;
    this.socket.on('data', (chunk: Buffer) => {
      events.data(chunk);
    });
    this.socket.on('drain', () => {
      events.drain();
    });
    this.socket.on('end', () => {
      events.end();
    });
    this.socket.on('error', (error) => {
      failure = error;
    });
    this.socket.on('close', () => {
      events.close(failure);
    });
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
