import type { Transport } from '../connection/transport.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { PROTOCOL_VERSION, type Hello } from '../protocol/hello.js';
import type { ProtocolName } from '../protocol/protocol.js';
import type { Place } from './admission.js';
import { authenticate, idOf, unauthenticated, type Authenticate, type Principal } from './authentication.js';
import type { RefusalReason } from './refusals.js';
import type { ServerSettings } from './settings.js';
import { tlsIdentity } from './tls-identity.js';

export interface ReceptionDependencies {
  readonly settings: ServerSettings;
  readonly transport: Transport;
  readonly place: Place;
  /** What the hook does wrong, for the log of this side. */
  readonly hookFailed: (message: string) => void;
  readonly refused: (reason: RefusalReason, why: string) => void;
  /** The client may go on in the native protocol. @param isLate the hello has been waiting for this */
  readonly welcome: (hello: Hello, id: unknown, isLate: boolean) => void;
  /** The hello is answered with an error, and nothing more. */
  readonly refuse: (id: unknown, error: PooledTcpError) => void;
}

/** Who is let in: what a client has to say before anything of it reaches a handler. */
export class Reception {
  readonly #with: ReceptionDependencies;
  #isAsking = false;
  #isClosed = false;
  #principal: Principal | undefined;

  constructor(dependencies: ReceptionDependencies) {
    this.#with = dependencies;
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
    const { settings, transport, place } = this.#with;
    if (place.refusal !== undefined) return place.refusal;
    if (protocol === 'native') return undefined;
    const { peer } = transport;
    // Without a hello there are no credentials.
    if (settings.authenticate !== undefined) return unauthenticated(peer);
    if (settings.protocol !== 'native') return undefined;
    const what = `${peer} speaks the stock Nest wire and this server takes native() only`;
    return new PooledTcpError('PTCP_PROTOCOL_MISMATCH', what, { peer });
  }

  /** Takes the hello of one of our clients; false leaves the connection on the stock wire. */
  hello(hello: Hello, id: unknown): boolean {
    const { settings, place, refuse, welcome } = this.#with;
    if (place.refusal !== undefined) {
      refuse(id, place.refusal);
      return true;
    }
    if (!hello.versions.includes(PROTOCOL_VERSION)) return false;
    if (settings.authenticate === undefined) welcome(hello, id, false);
    else void this.#ask(settings.authenticate, hello, id);
    return true;
  }

  /** The connection is gone, or is about to be: an answer of the hook comes too late. */
  close(): void {
    this.#isClosed = true;
  }

  async #ask(hook: Authenticate, hello: Hello, id: unknown): Promise<void> {
    const { transport, place, hookFailed, refused, refuse, welcome } = this.#with;
    this.#isAsking = true;
    const { peer: address } = transport;
    const peer = { address, tlsIdentity: tlsIdentity(transport), protocol: 'native' } as const;
    const principal = await authenticate(hook, hello.credentials, peer, hookFailed);
    if (this.#isClosed) return;
    this.#isAsking = false;
    if (principal === undefined) {
      refused('unauthenticated', 'authenticate refused it');
      refuse(id, unauthenticated(address));
      return;
    }
    const full = place.claimPrincipal(idOf(principal));
    if (full !== undefined) {
      refused('maxConnectionsPerPrincipal', full.message);
      refuse(id, full);
      return;
    }
    this.#principal = principal;
    welcome(hello, id, true);
  }
}

/** For bytes that come before the hello is answered, which must not. */
export function earlyBytes(): PooledTcpError {
  return new PooledTcpError('PTCP_PROTOCOL_VIOLATION', 'the peer sent more before its hello was answered');
}
