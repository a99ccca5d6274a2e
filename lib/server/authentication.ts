import { refuse, rule, type OptionRule } from '../common/options.js';
import { describeCause, PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { ProtocolName } from '../protocol/protocol.js';

/** Who a client has shown to be: a name, or an object that has one. */
export type Principal = string | (object & { readonly id: string });

/** What is known of a client before it has shown who it is. */
export interface AuthenticatingPeer {
  /** Its address, e.g. `10.0.0.7:50000`. */
  readonly address: string;
  /** Subject of its certificate, where mutual TLS has verified one. */
  readonly tlsIdentity: string | undefined;
  readonly protocol: ProtocolName;
}

/**
 * Decides who a client is, by the `credentials` of its options, which are undefined where it gives none. To refuse it,
 * return undefined or false, or throw.
 */
export type Authenticate = (
  credentials: unknown,
  peer: AuthenticatingPeer,
) => Principal | false | undefined | Promise<Principal | false | undefined>;

/** First frame of a client that may be anybody. Credentials are small. */
export const MAX_UNAUTHENTICATED_BYTES = 64 * 1024;

export const authenticateRule: OptionRule<Authenticate | undefined> = rule<Authenticate | undefined>(
  {
    default: undefined,
    allowed: 'a function of the credentials and the peer',
    text: 'Decides who a client is, by its `credentials` and its certificate, before it may do anything. Returns, or resolves with, a principal (a string, or an object with `id`), which handlers find in `context.getSession().principal`; anything else refuses the client with `PTCP_UNAUTHENTICATED`. Stock clients, which have no hello, are refused.',
  },
  (value, path) =>
    typeof value === 'function'
      ? (value as Authenticate)
      : refuse(path, value, 'a function of the credentials and the peer'),
);

/** The client is told no more than this, whatever was wrong. */
export function unauthenticated(peer: string): PooledTcpError {
  return new PooledTcpError('PTCP_UNAUTHENTICATED', 'the server does not know who this client is', { peer });
}

/**
 * Asks the hook. Never rejects: what the hook throws is for the log of this side only.
 *
 * @returns undefined for nobody
 */
export async function authenticate(
  hook: Authenticate,
  credentials: unknown,
  peer: AuthenticatingPeer,
  failed: (message: string) => void,
): Promise<Principal | undefined> {
  try {
    const principal: unknown = await hook(credentials, peer);
    if (principal === undefined || principal === false || principal === null) return undefined;
    if (isPrincipal(principal)) return principal;
    failed('authenticate returned neither a principal (a string, or an object with a string id) nor undefined');
  } catch (error) {
    failed(`authenticate threw: ${redacted(describeCause(error), credentials)}`);
  }
  return undefined;
}

export function idOf(principal: Principal): string {
  return typeof principal === 'string' ? principal : principal.id;
}

function isPrincipal(value: unknown): value is Principal {
  const id: unknown = typeof value === 'object' && value !== null && 'id' in value ? value.id : value;
  return typeof id === 'string' && id !== '';
}

/** Errors tend to quote what they complain about. */
function redacted(text: string, credentials: unknown): string {
  let rest = text;
  // Without recursion: a client chooses how deep its credentials are.
  const left = [credentials];
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (typeof value === 'string' && value !== '') rest = rest.replaceAll(value, '[credentials]');
    else if (typeof value === 'object' && value !== null) left.push(...(Object.values(value) as unknown[]));
  }
  return rest;
}
