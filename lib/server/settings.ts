import type { TlsOptions } from 'node:tls';
import {
  bytes,
  conflict,
  duration,
  group,
  groupOrFalse,
  integer,
  refuse,
  resolveOptions,
  rule,
  text,
  type OptionRules,
  type OptionsOf,
} from '../common/options.js';
import { codecRule } from '../protocol/codec-rule.js';
import { protocolOf, wireRules, type WireOptions, type WireSettings } from '../connection/wire-settings.js';
import { addressListRule } from './address-list.js';
import { authenticateRule, type Authenticate } from './authentication.js';
import { pushRules, type PushLimits, type PushSettings } from './push/push-settings.js';

export interface ProxyProtocolSettings {
  /** Addresses and prefixes of the proxies; they must send the header, and nobody else may. */
  trusted: readonly string[];
}

export type ProxyProtocolOptions = OptionsOf<ProxyProtocolSettings>;

/** Options of a server, as a user writes them. */
export interface PooledTcpServerOptions extends WireOptions {
  /** Address to listen on. Default `localhost`, as in stock Nest. */
  readonly host?: string | undefined;
  /** Port to listen on; 0 lets the system choose. Default 3000, as in stock Nest. */
  readonly port?: number | undefined;
  /** Path of a Unix socket to listen on, instead of host and port. */
  readonly path?: string | undefined;
  /** Options of `tls.createServer`, for TLS. */
  readonly tls?: TlsOptions | undefined;
  /** A connection silent for this long, heartbeats included, is closed; 0 for never. Milliseconds, default 180 000. */
  readonly idleTimeoutMs?: number | undefined;
  /** Time a new connection has for its first frame; 0 for any. Milliseconds, default 5 000. */
  readonly firstFrameTimeoutMs?: number | undefined;
  /**
   * A connection of this age is told to go, so that clients spread over servers that came later; its calls finish. Less
   * up to a tenth at random. 0 for never. Milliseconds, default 0.
   */
  readonly maxConnectionAgeMs?: number | undefined;
  /** Time for each 64 KiB of a frame that has begun; 0 for any. Milliseconds, default 10 000. */
  readonly partialFrameTimeoutMs?: number | undefined;
  /**
   * A connection that carried no call, event or push for so long is told to go, however alive it is. 0 for never.
   * Milliseconds, default 0.
   */
  readonly unusedTimeoutMs?: number | undefined;
  /** Addresses and prefixes that may connect, such as `10.0.0.0/8`. Default: all. */
  readonly allow?: readonly string[] | undefined;
  /** Addresses and prefixes that may not, also where `allow` has them. Default: none. */
  readonly deny?: readonly string[] | undefined;
  /** Whose word to take for where a connection comes from: load balancers with the PROXY protocol. Default false. */
  readonly proxyProtocol?: ProxyProtocolOptions | false | undefined;
  /** Decides who a client is, by its `credentials`, before it may do anything. Default: anybody is served. */
  readonly authenticate?: Authenticate | undefined;
  /** Connections at once; further ones are refused with a reason. Default 4 096. */
  readonly maxConnections?: number | undefined;
  /** Connections at once from one address, or one /64 of IPv6; 0 for any number. Default 64. */
  readonly maxConnectionsPerHost?: number | undefined;
  /** Connections at once of one principal, see `authenticate`; 0 for any number. Default 0. */
  readonly maxConnectionsPerPrincipal?: number | undefined;
  /** Calls in flight on one connection, and, counted apart, events at work; further calls are refused, unsent, further events dropped. Default 16 384. */
  readonly maxInFlightPerConnection?: number | undefined;
  /** Calls in flight on the server, and, counted apart, events at work; further calls are refused, unsent, further events dropped. Default 65 536. */
  readonly maxInFlight?: number | undefined;
  /**
   * Bytes of messages that have not come whole, on all connections together; beyond it the one that has been at it for
   * the longest time is closed. Default 256 MiB.
   */
  readonly maxPartialBytes?: number | undefined;
  /** New calls are refused, unsent, while the event loop is late by more than this; 0 for never. Default 0. */
  readonly maxEventLoopDelayMs?: number | undefined;
  /** What becomes of pushes to clients that do not read as fast as they come. */
  readonly push?: PushLimits | undefined;
}

/** The same, resolved: defaults applied, rules checked, frozen. */
export interface ServerSettings extends WireSettings {
  host: string;
  port: number;
  path: string | undefined;
  tls: TlsOptions | undefined;
  idleTimeoutMs: number;
  firstFrameTimeoutMs: number;
  maxConnectionAgeMs: number;
  partialFrameTimeoutMs: number;
  unusedTimeoutMs: number;
  allow: readonly string[];
  deny: readonly string[];
  proxyProtocol: ProxyProtocolSettings | false;
  authenticate: Authenticate | undefined;
  maxConnections: number;
  maxConnectionsPerHost: number;
  maxConnectionsPerPrincipal: number;
  maxInFlightPerConnection: number;
  maxInFlight: number;
  maxPartialBytes: number;
  maxEventLoopDelayMs: number;
  push: PushSettings;
}

const proxyProtocolRules: OptionRules<ProxyProtocolSettings> = {
  trusted: addressListRule({
    text: 'Addresses and prefixes of the load balancers. Their connections must begin with the header; those of all others must not have one. Required.',
  }),
};

export const serverRules: OptionRules<ServerSettings> = {
  host: text<string>({ default: 'localhost', text: 'Address to listen on, as in stock Nest.' }),
  port: integer({
    default: 3000,
    max: 65_535,
    what: 'a port',
    text: 'Port to listen on, as in stock Nest; 0 lets the system choose.',
  }),
  path: text<string | undefined>({
    default: undefined,
    text: 'Path of a Unix socket to listen on, instead of host and port.',
  }),
  tls: rule<TlsOptions | undefined>(
    {
      default: undefined,
      allowed: 'options of tls.createServer()',
      text: 'TLS: key, certificate and whatever else `tls.createServer()` takes.',
    },
    (value, path) =>
      typeof value === 'object' && value !== null ? value : refuse(path, value, 'options of tls.createServer()'),
  ),
  idleTimeoutMs: duration({
    default: 180_000,
    text: 'A connection silent for this long, heartbeats included, is closed; 0 for never. Above the clients’ own 60 s, so that they let go first.',
  }),
  firstFrameTimeoutMs: duration({ default: 5_000, text: 'Time a new connection has for its first frame; 0 for any.' }),
  maxConnectionAgeMs: duration({
    default: 0,
    text: 'A connection of this age is told to go, so that clients spread over servers that came later; its calls finish first. Less up to a tenth at random, so that not all go at once. 0 for never.',
  }),
  partialFrameTimeoutMs: duration({
    default: 10_000,
    text: 'Time for each 64 KiB of a frame that has begun, so that a slow link is no fault; then the connection is closed with `PTCP_FRAME_TIMEOUT`. 0 for any.',
  }),
  unusedTimeoutMs: duration({
    default: 0,
    text: 'A connection that carried no call, event or push for so long is told to go, however many heartbeats it answers. Clients with `pool.min` above 0 dial again, so only where connections that nobody uses are worse than that. 0 for never.',
  }),
  allow: addressListRule({
    text: 'Addresses and prefixes that may connect, such as `10.0.0.0/8`; empty for all. Others are closed at once, without a byte. Unix sockets have no address and are not judged.',
  }),
  deny: addressListRule({ text: 'Addresses and prefixes that may not connect, also where `allow` has them.' }),
  proxyProtocol: groupOrFalse({
    text: 'The PROXY protocol, versions 1 and 2, in front of plain TCP and of TLS: limits, `allow` and `deny` then mean the client and not the load balancer.',
    rules: proxyProtocolRules,
    isOff: true,
  }),
  authenticate: authenticateRule,
  maxConnections: integer({
    default: 4096,
    min: 1,
    text: 'Connections at once, those in their TLS handshake included; further ones are refused with a reason, not a bare close.',
  }),
  maxConnectionsPerHost: integer({
    default: 64,
    text: 'Connections at once from one address, or from one /64 of IPv6; further ones are refused with a reason. Several pools of one host share it. Unix sockets are exempt. 0 for any number.',
  }),
  maxConnectionsPerPrincipal: integer({
    default: 0,
    text: 'Connections at once of one principal, see `authenticate`; further ones are refused with a reason. 0 for any number.',
  }),
  maxInFlightPerConnection: integer({
    default: 16_384,
    min: 1,
    text: 'Calls in flight on one connection, cancelled ones whose handlers go on included; further ones are refused, unsent. Events at work are counted apart; beyond as many they are dropped.',
  }),
  maxInFlight: integer({
    default: 65_536,
    min: 1,
    text: 'Calls in flight on the server; further ones are refused, unsent. Events at work are counted apart; beyond as many they are dropped.',
  }),
  maxPartialBytes: bytes({
    default: 256 * 1024 * 1024,
    min: 1024,
    text: 'Bytes of messages that have not come whole, on all connections together: each may hold one of `maxFrameBytes`, and thousands of them are more than there is memory. Beyond it the connection that has been at its message for the longest time is closed with `PTCP_SERVER_OVERLOADED`; a single message may always come.',
  }),
  maxEventLoopDelayMs: duration({
    default: 0,
    text: 'New calls are refused, unsent, while the event loop is late by more than this, until it keeps up again. 0 for never.',
  }),
  push: group({ text: 'Pushes to clients that do not read as fast as they come.', rules: pushRules }),
  ...wireRules,
  codec: codecRule({
    default: 'auto',
    text: 'Payload codecs the server takes, of those that a client offers. `auto`: JSON, and MessagePack where the package msgpackr is installed. `msgpack`: the same, and starting without the package fails. `json`: only JSON. Beside `framing`: the messages of the foreign protocol, see the client.',
  }),
};

/**
 * Checks what a user wrote, before anything is opened.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, `PTCP_OPTION_CONFLICT`
 */
export function resolveServerOptions(options: PooledTcpServerOptions): ServerSettings {
  const settings = resolveOptions(serverRules, options);
  if (options.path !== undefined && (options.host !== undefined || options.port !== undefined)) {
    conflict(
      `path and ${options.host === undefined ? 'port' : 'host'} are both given; a server listens on one of them`,
    );
  }
  const protocol = protocolOf(settings, options);
  verifyProtections(settings, protocol, options.path);
  if (settings.framing?.endsWithStream === true) {
    conflict(
      'framing: untilClose() ends a request with its connection, so that no answer could be sent; use a framing that ends each request, such as delimiter()',
    );
  }
  return Object.freeze({ ...settings, protocol });
}

function verifyProtections(
  { authenticate, proxyProtocol, maxConnectionsPerPrincipal }: ServerSettings,
  protocol: ServerSettings['protocol'],
  path: string | undefined,
): void {
  if (authenticate !== undefined && protocol === 'foreign') {
    conflict(
      'authenticate reads the credentials of the hello, which a foreign protocol does not have; check the login in its @MessagePattern handler, and keep who it is in context.getSession().data',
    );
  }
  if (authenticate !== undefined && protocol === 'nest-json') {
    conflict(
      'authenticate reads the credentials of the hello, which the stock Nest wire does not have; leave out protocol: nestJson(), serializer and deserializer',
    );
  }
  if (authenticate === undefined && maxConnectionsPerPrincipal > 0)
    conflict('maxConnectionsPerPrincipal counts principals, and without authenticate there are none');
  if (proxyProtocol === false) return;
  if (proxyProtocol.trusted.length === 0)
    conflict(
      'proxyProtocol.trusted is empty, so nobody may send the header; name the load balancers, or set proxyProtocol to false',
    );
  if (path !== undefined)
    conflict('proxyProtocol judges a peer by its address, and those of a Unix socket (path) have none');
}
