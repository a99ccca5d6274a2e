import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import { readInPlace, SocketTransport, type KeepAliveSettings } from './socket-transport.js';
import type { Target } from './target.js';
import type { Transport } from './transport.js';

/** Opens a byte stream to a target. When the signal fires, the attempt is destroyed and the promise rejects. */
export type Connector = (target: Target, signal: AbortSignal) => Promise<Transport>;

/** Connects by TCP, TLS or Unix socket. */
export function socketConnector(keepAlive: KeepAliveSettings | false): Connector {
  return (target, signal) =>
    new Promise((resolve, reject) => {
      const socket = openSocket(target);
      const readyEvent = target.tls === undefined ? 'connect' : 'secureConnect';
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort);
        socket.off('error', onError).off('close', onClose).off(readyEvent, onReady);
      };
      const fail = (cause: unknown): void => {
        settle();
        // An error can still follow the destroy; it must find a listener.
        socket.on('error', () => undefined);
        socket.destroy();
        reject(
          new PooledTcpError('PTCP_CONNECT_FAILED', `cannot connect to ${target.address}: ${reasonOf(cause)}`, {
            peer: target.address,
            cause,
          }),
        );
      };
      const onAbort = (): void => {
        fail(signal.reason);
      };
      const onError = (error: Error): void => {
        fail(error);
      };
      const onClose = (): void => {
        fail(new Error('the peer closed the connection during the TLS handshake'));
      };
      const onReady = (): void => {
        settle();
        resolve(new SocketTransport(socket, target.address, keepAlive));
      };
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort);
      socket.once('error', onError).once('close', onClose).once(readyEvent, onReady);
    });
}

function openSocket({ host, port, path, tls }: Target): Socket {
  const place = path === undefined ? { host: host ?? 'localhost', port: port ?? 0 } : { path };
  if (tls === undefined) {
    const socket: Socket = connectTcp({ ...place, onread: readInPlace(() => socket) });
    return socket;
  }
  // A certificate is checked against the host name; SNI carries no IP addresses (RFC 6066, section 3).
  const servername = host !== undefined && !/^[\d.]+$|:/.test(host) ? { servername: host } : undefined;
  return connectTls({ ...servername, ...tls, ...place });
}

/** OpenSSL's errors come in several lines; the one that plain TCP gives a TLS client hides what it means. */
function reasonOf(cause: unknown): string {
  const reason = describeCause(cause).trim();
  if (/wrong version number|packet length too long/.test(reason)) return 'the peer does not speak TLS on this port';
  return reason;
}
