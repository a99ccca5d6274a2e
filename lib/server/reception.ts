import type { Transport } from '../connection/transport.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { PROTOCOL_VERSION, type Hello } from '../protocol/hello.js';
import type { ProtocolName } from '../protocol/protocol.js';
import type { Place } from './admission.js';
import { authenticate, idOf, unauthenticated, type Authenticate, type Principal } from './authentication.js';
import type { RefusalReason } from './refusals.js';
import type { ServerSettings } from './settings.js';
import { tlsIdentity } from './tls-identity.js';

/** What a reception decides, and who carries it out. */
export interface ReceptionHost {
  readonly transport: Transport;
  /** What the hook does wrong, for the log of this side. */
  hookFailed(message: string): void;
  refused(reason: RefusalReason, why: string): void;
  /** The client may go on in the native protocol. @param isLate the hello has been waiting for this */
  welcome(hello: Hello, id: unknown, isLate: boolean): void;
  /** The hello is answered with an error, and nothing more. */
  turnAway(id: unknown, error: PooledTcpError): void;
}

/** Who is let in: what a client has to say before anything of it reaches a handler. */
export class Reception {
  readonly #host: ReceptionHost;
  readonly #settings: ServerSettings;
  readonly #place: Place;
  #isAsking = false;
  #isClosed = false;
  #principal: Principal | undefined;

  constructor(host: ReceptionHost, settings: ServerSettings, place: Place) {
    this.#host = host;
    this.#settings = settings;
    this.#place = place;
  }

  /** Who the client has shown to be, where the server asks for that. */
  get principal(): Principal | undefined {
    return this.#principal;
  }

  /** Whether the hook looks at the credentials: the client has to wait for the answer to its hello. */
  isAsking(): boolean {
    return this.#isAsking;
  }

  /** Why nothing that the client says may reach a handler, where that is so. */
  denial(protocol: ProtocolName): PooledTcpError | undefined {
    if (this.#place.refusal !== undefined) return this.#place.refusal;
    if (protocol === 'native') return undefined;
    const settings = this.#settings;
    const { peer } = this.#host.transport;
    // Without a hello there are no credentials.
    if (settings.authenticate !== undefined) return unauthenticated(peer);
    if (settings.protocol !== 'native') return undefined;
    const what = `${peer} speaks the stock Nest wire and this server takes native() only`;
    return new PooledTcpError('PTCP_PROTOCOL_MISMATCH', what, { peer });
  }

  /** Takes the hello of one of our clients; false leaves the connection on the stock wire. */
  hello(hello: Hello, id: unknown): boolean {
    const { refusal } = this.#place;
    if (refusal !== undefined) {
      this.#host.turnAway(id, refusal);
      return true;
    }
    if (!hello.versions.includes(PROTOCOL_VERSION)) return false;
    const { authenticate: hook } = this.#settings;
    if (hook === undefined) this.#host.welcome(hello, id, false);
    else void this.#ask(hook, hello, id);
    return true;
  }

  /** The connection is gone, or is about to be: an answer of the hook comes too late. */
  close(): void {
    this.#isClosed = true;
  }

  async #ask(hook: Authenticate, hello: Hello, id: unknown): Promise<void> {
    const host = this.#host;
    this.#isAsking = true;
    const { peer: address } = host.transport;
    const peer = { address, tlsIdentity: tlsIdentity(host.transport), protocol: 'native' } as const;
    const principal = await authenticate(hook, hello.credentials, peer, (message) => {
      host.hookFailed(message);
    });
    if (this.#isClosed) return;
    this.#isAsking = false;
    if (principal === undefined) {
      host.refused('unauthenticated', 'authenticate refused it');
      host.turnAway(id, unauthenticated(address));
      return;
    }
    const full = this.#place.claimPrincipal(idOf(principal));
    if (full !== undefined) {
      host.refused('maxConnectionsPerPrincipal', full.message);
      host.turnAway(id, full);
      return;
    }
    this.#principal = principal;
    host.welcome(hello, id, true);
  }
}

/** For bytes that come before the hello is answered, which must not. */
export function earlyBytes(): PooledTcpError {
  return new PooledTcpError('PTCP_PROTOCOL_VIOLATION', 'the peer sent more before its hello was answered');
}
