import type { TlsOptions } from 'node:tls';
import {
  bytes,
  conflict,
  duration,
  groupOrFalse,
  integer,
  refuse,
  resolveOptions,
  rule,
  text,
  withMethods,
  type OptionRules,
} from '../common/options.js';
import { heartbeatRules, type HeartbeatOptions, type HeartbeatSettings } from '../connection/heartbeat.js';
import { keepAliveRules, type KeepAliveOptions, type KeepAliveSettings } from '../connection/socket-transport.js';
import { DEFAULT_MAX_FRAME_BYTES } from '../framing/framing.js';
import type { PacketDeserializer, PacketSerializer } from '../protocol/nest-json.js';
import { protocolRule, type ProtocolOption } from '../protocol/protocol-rule.js';

/** Options of a server, as a user writes them. */
export interface PooledTcpServerOptions {
  /** Address to listen on. Default `localhost`, as in stock Nest. */
  readonly host?: string | undefined;
  /** Port to listen on; 0 lets the system choose. Default 3000, as in stock Nest. */
  readonly port?: number | undefined;
  /** Path of a Unix socket to listen on, instead of host and port. */
  readonly path?: string | undefined;
  /** Options of `tls.createServer`, for TLS. */
  readonly tls?: TlsOptions | undefined;
  /** `'auto'` (default): our clients natively, stock Nest clients on their wire. Or `native()`, `nestJson()`. */
  readonly protocol?: ProtocolOption | undefined;
  /** How a silent native client is found out; false for not at all. */
  readonly heartbeat?: HeartbeatOptions | boolean | undefined;
  /** The kernel's own probes; false for none. */
  readonly keepAlive?: KeepAliveOptions | boolean | undefined;
  /** A connection silent for this long, heartbeats included, is closed; 0 for never. Milliseconds, default 180 000. */
  readonly idleTimeoutMs?: number | undefined;
  /** Time a new connection has for its first frame; 0 for any. Milliseconds, default 5 000. */
  readonly firstFrameTimeoutMs?: number | undefined;
  /** Connections at once; further ones are refused with a reason. Default 4 096. */
  readonly maxConnections?: number | undefined;
  /** Calls in flight on one connection; further ones are refused, unsent. Default 16 384. */
  readonly maxInFlightPerConnection?: number | undefined;
  /** Calls in flight on the server; further ones are refused, unsent. Default 65 536. */
  readonly maxInFlight?: number | undefined;
  /** Largest frame, either way, in bytes. Default 8 MiB. */
  readonly maxFrameBytes?: number | undefined;
  /** Bytes that may wait to be written to one client. Default 64 MiB. */
  readonly maxPendingWriteBytes?: number | undefined;
  /** How long `close()` waits for calls in flight. Milliseconds, default 10 000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Nest serializer of outgoing packets, sync or async. Implies the stock Nest wire. */
  readonly serializer?: PacketSerializer | undefined;
  /** Nest deserializer of incoming packets, sync or async. Implies the stock Nest wire. */
  readonly deserializer?: PacketDeserializer | undefined;
}

/** The same, resolved: defaults applied, rules checked, frozen. */
export interface ServerSettings {
  host: string;
  port: number;
  path: string | undefined;
  tls: TlsOptions | undefined;
  protocol: 'auto' | 'native' | 'nest-json';
  heartbeat: HeartbeatSettings | false;
  keepAlive: KeepAliveSettings | false;
  idleTimeoutMs: number;
  firstFrameTimeoutMs: number;
  maxConnections: number;
  maxInFlightPerConnection: number;
  maxInFlight: number;
  maxFrameBytes: number;
  maxPendingWriteBytes: number;
  drainTimeoutMs: number;
  serializer: PacketSerializer | undefined;
  deserializer: PacketDeserializer | undefined;
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
  protocol: protocolRule(
    '`auto`: our clients natively, stock Nest clients on their wire, on the same port. Or only one: `native()`, `nestJson()`.',
  ),
  heartbeat: groupOrFalse({ text: 'How a silent native client is found out.', rules: heartbeatRules }),
  keepAlive: groupOrFalse({ text: 'The kernel’s own probes of a silent connection.', rules: keepAliveRules }),
  idleTimeoutMs: duration({
    default: 180_000,
    text: 'A connection silent for this long, heartbeats included, is closed; 0 for never. Above the clients’ own 60 s, so that they let go first.',
  }),
  firstFrameTimeoutMs: duration({ default: 5_000, text: 'Time a new connection has for its first frame; 0 for any.' }),
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
  maxFrameBytes: bytes({
    default: DEFAULT_MAX_FRAME_BYTES,
    min: 1024,
    text: 'Largest frame, either way. 8 MiB is Dubbo’s payload limit.',
  }),
  maxPendingWriteBytes: bytes({
    default: 64 * 1024 * 1024,
    min: 1024,
    text: 'Bytes that may wait to be written to one client; then it counts as one that does not read, and its connection is closed.',
  }),
  drainTimeoutMs: duration({
    default: 10_000,
    text: 'How long `close()` waits for calls in flight; then connections are destroyed.',
  }),
  serializer: withMethods<PacketSerializer>({
    default: undefined,
    methods: ['serialize'],
    allowed: 'an object with a method serialize()',
    text: 'Nest serializer of outgoing packets, sync or async. Implies the stock Nest wire.',
  }),
  deserializer: withMethods<PacketDeserializer>({
    default: undefined,
    methods: ['deserialize'],
    allowed: 'an object with a method deserialize()',
    text: 'Nest deserializer of incoming packets, sync or async. Implies the stock Nest wire.',
  }),
};

/**
 * Checks what a user wrote, before anything is opened.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`, `PTCP_OPTION_CONFLICT`
 */
export function resolveServerOptions(options: PooledTcpServerOptions): ServerSettings {
  const settings = resolveOptions(serverRules, options);
  const { serializer, deserializer, protocol } = settings;
  if (options.path !== undefined && (options.host !== undefined || options.port !== undefined)) {
    conflict(
      `path and ${options.host === undefined ? 'port' : 'host'} are both given; a server listens on one of them`,
    );
  }
  if (serializer === undefined && deserializer === undefined) return settings;
  if (protocol === 'native') {
    conflict(
      `${serializer === undefined ? 'deserializer' : 'serializer'} shapes stock Nest packets, which protocol: native() does not have; use nestJson()`,
    );
  }
  return Object.freeze({ ...settings, protocol: 'nest-json' });
}
