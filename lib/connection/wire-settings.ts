import { bytes, conflict, duration, groupOrFalse, withMethods, type OptionRules } from '../common/options.js';
import { DEFAULT_MAX_FRAME_BYTES, type Framing } from '../framing/framing.js';
import type { PacketDeserializer, PacketSerializer } from '../protocol/nest-json.js';
import { codecRule, type CodecOption } from '../protocol/codec-rule.js';
import type { ProtocolName } from '../protocol/protocol.js';
import { protocolRule, type ProtocolOption } from '../protocol/protocol-rule.js';
import { verifyForeign } from './foreign-settings.js';
import { heartbeatRules, type HeartbeatOptions, type HeartbeatSettings } from './heartbeat.js';
import { keepAliveRules, type KeepAliveOptions, type KeepAliveSettings } from './socket-transport.js';

/** What a user may say of connections, the same at both ends. */
export interface WireOptions {
  /** `'auto'` (default): native between our own ends, the stock Nest wire with others. Or `native()`, `nestJson()`. */
  readonly protocol?: ProtocolOption | undefined;
  /**
   * How the frames of a foreign protocol are cut: `lengthField()`, `delimiter()`, `fixedLength()`, `untilClose()`, or one
   * of your own. The messages in them are those of `codec`. Default: none, the protocol is one of ours.
   */
  readonly framing?: Framing | undefined;
  /**
   * How payloads of the native protocol are encoded: `'json'`, `'msgpack'` (needs the package msgpackr at both ends),
   * or `'auto'`, MessagePack where both ends have the package. Default: `'json'` at a client, which is what decides,
   * and `'auto'` at a server. Beside `framing`: the messages of the foreign protocol; left out, a payload is a Buffer.
   */
  readonly codec?: CodecOption | undefined;
  /** How a silent peer is found out; false for not at all. */
  readonly heartbeat?: HeartbeatOptions | boolean | undefined;
  /** The kernel's own probes; false for none. */
  readonly keepAlive?: KeepAliveOptions | boolean | undefined;
  /** Largest frame, either way, in bytes. Default 8 MiB. */
  readonly maxFrameBytes?: number | undefined;
  /** Bytes that may wait to be written to one peer. Default 64 MiB. */
  readonly maxPendingWriteBytes?: number | undefined;
  /** Bytes of one stream that may be under way to this end, or wait here to be taken. Default 256 KiB. */
  readonly streamWindowBytes?: number | undefined;
  /** How long `close()` waits for calls in flight. Milliseconds, default 10 000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Nest serializer of outgoing packets, sync or async. Implies the stock Nest wire. */
  readonly serializer?: PacketSerializer | undefined;
  /** Nest deserializer of incoming packets, sync or async. Implies the stock Nest wire. */
  readonly deserializer?: PacketDeserializer | undefined;
}

/** The same, resolved. */
export interface WireSettings {
  protocol: 'auto' | ProtocolName;
  framing: Framing | undefined;
  codec: CodecOption;
  heartbeat: HeartbeatSettings | false;
  keepAlive: KeepAliveSettings | false;
  maxFrameBytes: number;
  maxPendingWriteBytes: number;
  streamWindowBytes: number;
  drainTimeoutMs: number;
  serializer: PacketSerializer | undefined;
  deserializer: PacketDeserializer | undefined;
}

export const wireRules: OptionRules<WireSettings> = {
  protocol: protocolRule(
    '`auto`: native between our own ends, the stock Nest wire with others, on the same port. Or only one: `native()`, `nestJson()`.',
  ),
  framing: withMethods<Framing>({
    default: undefined,
    methods: ['encode', 'createDecoder'],
    allowed: 'a framing, such as lengthField() or delimiter()',
    text: 'How the frames of a foreign protocol are cut: `lengthField()`, `delimiter()`, `fixedLength()`, `untilClose()` or one of your own; `codec` says what is in them. See [foreign protocols](foreign-protocols.md).',
  }),
  codec: codecRule({
    default: 'json',
    text: 'How payloads of the native protocol are encoded. `msgpack` needs the package msgpackr at both ends; a server without it is spoken to in JSON, and the log says so. `auto`: MessagePack where both ends have the package. Raw Buffers are never encoded. Beside `framing`: an object with `encode(message)` and `decode(frame)`; without one a frame’s payload is the data, a Buffer.',
  }),
  heartbeat: groupOrFalse({
    text: 'How a silent peer is found out. A server asks native clients only: a stock one would not answer. A foreign peer is asked where the codec has a heartbeat.',
    rules: heartbeatRules,
  }),
  keepAlive: groupOrFalse({ text: 'The kernel’s own probes of a silent connection.', rules: keepAliveRules }),
  maxFrameBytes: bytes({
    default: DEFAULT_MAX_FRAME_BYTES,
    min: 1024,
    text: 'Largest frame, either way. 8 MiB is Dubbo’s payload limit.',
  }),
  maxPendingWriteBytes: bytes({
    default: 64 * 1024 * 1024,
    min: 1024,
    text: 'Bytes that may wait to be written to one peer. A stream or a large message that would exceed it fails; bytes that the kernel does not take close the connection.',
  }),
  streamWindowBytes: bytes({
    default: 256 * 1024,
    min: 1024,
    text: 'Bytes of one stream that may be under way to this end, or wait here to be taken; then its source pauses. 256 KiB fill 1 Gbit/s at a round trip of 2 ms.',
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
 * A serializer or deserializer shapes stock Nest packets, so it settles the protocol; `framing` settles it, too.
 *
 * @param given what the user wrote
 */
export function protocolOf(settings: WireSettings, given: WireOptions): WireSettings['protocol'] {
  verifyForeign(settings, given);
  if (settings.framing !== undefined) return 'foreign';
  const protocol = protocolAsked(settings);
  if (protocol === 'nest-json' && settings.codec === 'msgpack') {
    const { serializer, deserializer } = settings;
    const cause = serializer !== undefined ? 'serializer' : deserializer !== undefined ? 'deserializer' : undefined;
    conflict(
      `codec: 'msgpack' encodes payloads of the native protocol, and ${cause === undefined ? 'protocol: nestJson() asks for' : `a ${cause} implies`} the stock Nest wire, which is JSON; give only one of the two`,
    );
  }
  return protocol;
}

function protocolAsked({ protocol, serializer, deserializer }: WireSettings): WireSettings['protocol'] {
  if (serializer === undefined && deserializer === undefined) return protocol;
  if (protocol === 'native') {
    conflict(
      `${serializer === undefined ? 'deserializer' : 'serializer'} shapes stock Nest packets, which protocol: native() does not have; use nestJson()`,
    );
  }
  return 'nest-json';
}
