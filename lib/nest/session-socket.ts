import type { Socket } from 'node:net';
import { SocketTransport } from '../connection/socket-transport.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Session } from '../server/session.js';

/**
 * What `context.getSocketRef()` returns: the public part of Nest's `TcpSocket`, with which it shares no code. It reads nothing by
 * itself, and it does not write: bytes of a handler's own would fall between the frames of other calls.
 */
export class SessionSocket {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  get netSocket(): Socket {
    const { transport } = this.#session;
    if (transport instanceof SocketTransport) return transport.socket;
    throw new PooledTcpError('PTCP_UNSUPPORTED', 'this session does not stand on a socket');
  }

  connect(): never {
    throw new PooledTcpError('PTCP_UNSUPPORTED', 'a server’s socket is connected already');
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the signature of the stock class
  on(event: string, callback: (...args: any[]) => void): this {
    this.netSocket.on(event, callback);
    return this;
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the signature of the stock class
  once(event: string, callback: (...args: any[]) => void): this {
    this.netSocket.once(event, callback);
    return this;
  }

  end(): this {
    this.netSocket.end();
    return this;
  }

  sendMessage(): never {
    throw new PooledTcpError(
      'PTCP_UNSUPPORTED',
      'use context.getSession().push(pattern, data), which keeps to the protocol of the connection',
    );
  }
}
