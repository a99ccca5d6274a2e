import type { TlsOptions } from 'node:tls';
import {
  conflict,
  duration,
  integer,
  refuse,
  resolveOptions,
  rule,
  text,
  type OptionRules,
} from '../common/options.js';
import { codecRule } from '../protocol/codec-rule.js';
import { protocolOf, wireRules, type WireOptions, type WireSettings } from '../connection/wire-settings.js';

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
  /** Connections at once; further ones are refused with a reason. Default 4 096. */
  readonly maxConnections?: number | undefined;
  /** Calls in flight on one connection; further ones are refused, unsent. Default 16 384. */
  readonly maxInFlightPerConnection?: number | undefined;
  /** Calls in flight on the server; further ones are refused, unsent. Default 65 536. */
  readonly maxInFlight?: number | undefined;
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
  maxConnections: number;
  maxInFlightPerConnection: number;
  maxInFlight: number;
}

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
  maxConnections: integer({
    default: 4096,
    min: 1,
    text: 'Connections at once; further ones are refused with a reason, not a bare close.',
  }),
  maxInFlightPerConnection: integer({
    default: 16_384,
    min: 1,
    text: 'Calls in flight on one connection; further ones are refused, unsent.',
  }),
  maxInFlight: integer({
    default: 65_536,
    min: 1,
    text: 'Calls in flight on the server; further ones are refused, unsent.',
  }),
  ...wireRules,
  codec: codecRule({
    default: 'auto',
    text: 'Payload codecs the server takes, of those that a client offers. `auto`: JSON, and MessagePack where the package msgpackr is installed. `msgpack`: the same, and starting without the package fails. `json`: only JSON.',
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
  return Object.freeze({ ...settings, protocol: protocolOf(settings) });
}
