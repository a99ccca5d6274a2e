import { createServer as createTcpServer, type Server as NetServer, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TlsOptions,
} from 'node:tls';
import type { Clock } from '../common/clock.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import { AddressList } from './address-list.js';
import type { Admission, ConnectionPlace } from './admission.js';
import type { BoundedLog } from './bounded-log.js';
import { addressOf, type ClientAddress } from './client-address.js';
import { readProxyHeader } from './proxied-socket.js';
import type { Refusals } from './refusals.js';
import type { ServerSettings } from './settings.js';

export interface ListenerDependencies {
  readonly admission: Admission;
  readonly refusals: Refusals;
  readonly log: BoundedLog;
  readonly clock: Clock;
  /** A connection is ready for its first frame. */
  readonly accept: (socket: Socket, address: ClientAddress, place: ConnectionPlace) => void;
}

/** A connection whose TLS handshake goes on. */
interface Handshake {
  readonly address: ClientAddress;
  readonly place: ConnectionPlace;
}

/**
 * The socket that listens, and what stands before a connection's first frame: who may connect, the header of a proxy,
 * the TLS handshake. All of them are counted from the moment they connect.
 */
export class Listener {
  /** A `tls.Server` with TLS. */
  readonly netServer: NetServer;
  readonly #settings: ServerSettings;
  readonly #with: ListenerDependencies;
  readonly #trustedProxies: AddressList;
  /** Every connection until it is handed over or gone. */
  readonly #early = new Set<Socket>();
  /** By {@link connectionKey}; more than one only on a Unix socket, where all are alike. */
  readonly #handshakes = new Map<string, Handshake[]>();
  readonly #tlsServer: TlsServer | undefined;
  #tls: TlsOptions | undefined;
  /** What `tls.Server` does with a connection. */
  #beginTls: ((socket: Socket) => void) | undefined;
  #isClosed = false;

  constructor(settings: ServerSettings, dependencies: ListenerDependencies) {
    this.#settings = settings;
    this.#with = dependencies;
    const { proxyProtocol, tls } = settings;
    this.#trustedProxies = new AddressList(
      proxyProtocol === false ? [] : proxyProtocol.trusted,
      'proxyProtocol.trusted',
    );
    this.#tls = tls;
    this.#tlsServer = tls === undefined ? undefined : this.#createTlsServer(tls);
    this.netServer = this.#tlsServer ?? createTcpServer();
    this.netServer.on('connection', (socket: Socket) => {
      this.#connected(socket);
    });
  }

  /**
   * New certificates, for connections that come from now on; options that are left out stay as they are.
   *
   * @throws PooledTcpError `PTCP_UNSUPPORTED` without TLS, `PTCP_OPTION_INVALID` when they cannot be used: the former
   * ones then stay
   */
  reloadTls(options: SecureContextOptions): void {
    if (this.#tlsServer === undefined)
      throw new PooledTcpError('PTCP_UNSUPPORTED', 'the server does not listen with TLS: there is nothing to reload');
    const merged = { ...this.#tls, ...options };
    try {
      this.#tlsServer.setSecureContext(merged);
    } catch (cause) {
      throw new PooledTcpError('PTCP_OPTION_INVALID', `the new TLS options cannot be used: ${describeCause(cause)}`, {
        cause,
      });
    }
    this.#tls = merged;
  }

  /** From now on connections are closed at once. */
  refuseAll(): void {
    this.#isClosed = true;
  }

  /** It listens (again). */
  acceptAll(): void {
    this.#isClosed = false;
  }

  /** Closes what has not got as far as a session. */
  destroyEarly(): void {
    for (const socket of this.#early) socket.destroy();
  }

  /** A handshake is what comes before the first frame, and has the time of one; Node's own limit is 120 s. */
  #createTlsServer(tls: TlsOptions): TlsServer {
    const { firstFrameTimeoutMs } = this.#settings;
    const limit = firstFrameTimeoutMs > 0 ? { handshakeTimeout: firstFrameTimeoutMs } : undefined;
    const server = createTlsServer({ ...limit, ...tls });
    // The handshake begins when we say so: first the address is judged, and the header of a proxy read.
    const begin = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    this.#beginTls = (socket) => {
      for (const listener of begin) listener.call(server, socket);
    };
    server.on('secureConnection', (socket: Socket) => {
      this.#secured(socket);
    });
    server.on('tlsClientError', (error: Error, socket: Socket) => {
      this.#with.log.warn('handshake', `the TLS handshake with ${addressOf(socket).text} failed: ${error.message}`);
      // Node leaves one that has only timed out open.
      socket.destroy();
    });
    return server;
  }

  #connected(socket: Socket): void {
    // Until somebody else listens; `close` follows.
    socket.on('error', ignore);
    const address = addressOf(socket);
    const isProxy = address.host !== undefined && this.#trustedProxies.has(address.host);
    if (this.#isClosed || (!isProxy && !this.#with.admission.isWelcome(address, false))) {
      socket.destroy();
      return;
    }
    const place = this.#with.admission.enter(address);
    if (place === undefined) {
      socket.destroy();
      return;
    }
    this.#early.add(socket);
    socket.on('close', () => {
      this.#early.delete(socket);
      place.leave();
    });
    if (isProxy) this.#readHeader(socket, address, place);
    else this.#identified(socket, address, place);
  }

  #readHeader(socket: Socket, proxy: ClientAddress, place: ConnectionPlace): void {
    const { clock, admission, refusals } = this.#with;
    readProxyHeader(socket, clock, this.#settings.firstFrameTimeoutMs, {
      read: (client) => {
        const address = client ?? proxy;
        if (admission.isWelcome(address, client === undefined)) this.#identified(socket, address, place);
        else socket.destroy();
      },
      failed: (error) => {
        refusals.add('proxyHeader', proxy.text, error.message);
        socket.destroy();
      },
    });
  }

  /** The client's own address is known. */
  #identified(socket: Socket, address: ClientAddress, place: ConnectionPlace): void {
    if (!place.claimHost(address)) {
      socket.destroy();
      return;
    }
    if (this.#beginTls === undefined) {
      this.#early.delete(socket);
      this.#handOver(socket, { address, place });
      // Paused where a header was taken off it.
      socket.resume();
      return;
    }
    const key = connectionKey(socket);
    const handshake = { address, place };
    this.#handshakes.set(key, [...(this.#handshakes.get(key) ?? []), handshake]);
    socket.once('close', () => {
      this.#forget(key, handshake);
    });
    this.#beginTls(socket);
  }

  #secured(socket: Socket): void {
    const key = connectionKey(socket);
    const handshake = this.#handshakes.get(key)?.[0];
    // Gone in the moment in which the handshake was done.
    if (handshake === undefined) {
      socket.destroy();
      return;
    }
    this.#forget(key, handshake);
    this.#handOver(socket, handshake);
  }

  #forget(key: string, handshake: Handshake): void {
    const others = this.#handshakes.get(key)?.filter((other) => other !== handshake) ?? [];
    if (others.length > 0) this.#handshakes.set(key, others);
    else this.#handshakes.delete(key);
  }

  #handOver(socket: Socket, { address, place }: Handshake): void {
    if (this.#isClosed) socket.destroy();
    else this.#with.accept(socket, address, place);
  }
}

/** Shared, so that connections need none of their own. */
const ignore = (): void => undefined;

/** The same for a socket and for the TLS socket above it. Unix sockets have no addresses, and share one key. */
function connectionKey({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
