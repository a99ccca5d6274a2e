import type { Socket } from 'node:net';
import type { Clock } from '../common/clock.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { ClientAddress } from './client-address.js';
import { ProxyHeaderReader } from './proxy-header.js';

export interface ProxyHeaderEvents {
  /** The bytes behind the header are in the socket again, which is paused. @param client undefined: the connection is the proxy's own */
  read(client: ClientAddress | undefined): void;
  /** There is no header, or not in time. */
  failed(error: PooledTcpError): void;
}

/**
 * Takes the header of the PROXY protocol off a new socket. Calls back once, or never where the socket closes before.
 *
 * @param timeoutMs 0 for any time
 */
export function readProxyHeader(socket: Socket, clock: Clock, timeoutMs: number, events: ProxyHeaderEvents): void {
  const reader = new ProxyHeaderReader();
  const timer =
    timeoutMs > 0
      ? clock.setTimeout(() => {
          stop();
          const what = `sent no whole header of the PROXY protocol within ${timeoutMs} ms`;
          events.failed(new PooledTcpError('PTCP_HANDSHAKE_FAILED', what));
        }, timeoutMs)
      : undefined;
  const stop = (): void => {
    if (timer !== undefined) clock.clearTimeout(timer);
    socket.off('data', onData).off('close', stop);
  };
  const onData = (chunk: Buffer): void => {
    let header;
    try {
      header = reader.push(chunk);
    } catch (error) {
      stop();
      events.failed(error as PooledTcpError);
      return;
    }
    if (header === undefined) return;
    stop();
    // Whoever comes next finds the socket as if nothing had been read.
    socket.pause();
    if (header.rest.length > 0) socket.unshift(header.rest);
    events.read(header.client);
  };
  socket.on('data', onData).once('close', stop);
}
