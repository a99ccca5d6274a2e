import type { TLSSocket } from 'node:tls';
import { SocketTransport } from '../connection/socket-transport.js';
import type { Transport } from '../connection/transport.js';

/** Subject of the client's certificate, where mutual TLS has verified one. */
export function tlsIdentity(transport: Transport): string | undefined {
  if (!(transport instanceof SocketTransport) || !('authorized' in transport.socket)) return undefined;
  const socket = transport.socket as TLSSocket;
  return socket.authorized ? socket.getPeerCertificate().subject.CN?.toString() : undefined;
}
