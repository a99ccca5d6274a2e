import { conflict } from '../common/options.js';
import type { Framing } from '../framing/framing.js';
import type { CodecOption } from '../protocol/codec-rule.js';
import type { CodecChoice } from '../protocol/codecs.js';
import { isMessageCodec, type MessageCodec } from '../protocol/foreign/message-codec.js';
import { rawCodec } from '../protocol/foreign/raw-codec.js';
import type { WireOptions, WireSettings } from './wire-settings.js';

/** A protocol that is not ours: how frames are cut, and what they say. */
export interface ForeignSettings {
  readonly framing: Framing;
  readonly codec: MessageCodec;
}

/** What `framing` and `codec` make together; undefined without `framing`. */
export function foreignOf(settings: {
  readonly framing?: Framing | undefined;
  readonly codec?: CodecOption | undefined;
}): ForeignSettings | undefined {
  const { framing, codec } = settings;
  if (framing === undefined) return undefined;
  return { framing, codec: isMessageCodec(codec) ? codec : rawCodec };
}

/** The codec of the native protocol, where that is what is spoken. */
export function payloadCodecOf(codec: CodecOption | undefined): CodecChoice {
  return codec === undefined || isMessageCodec(codec) ? 'json' : codec;
}

/**
 * Refuses what contradicts `framing`, or needs it.
 *
 * @param given what the user wrote: defaults contradict nothing
 */
export function verifyForeign(settings: WireSettings, given: WireOptions): void {
  const foreign = foreignOf(settings);
  if (foreign === undefined) {
    if (isMessageCodec(settings.codec)) {
      conflict(
        'codec is an object with encode() and decode(), for a foreign protocol, and framing is left out; say how its frames are cut, e.g. framing: lengthField({ size: 4 })',
      );
    }
    return;
  }
  if (typeof given.codec === 'string') {
    conflict(
      `codec: '${given.codec}' encodes payloads of the native protocol, and framing asks for a foreign one; give an object with encode() and decode(), or leave codec out for Buffers`,
    );
  }
  if (settings.protocol !== 'auto') {
    conflict(
      `protocol: ${settings.protocol === 'native' ? 'native()' : 'nestJson()'} has a framing of its own; leave out protocol, or framing`,
    );
  }
  for (const name of ['serializer', 'deserializer'] as const) {
    if (settings[name] !== undefined)
      conflict(`${name} shapes stock Nest packets, and framing asks for a foreign protocol; shape messages in codec`);
  }
  if (given.heartbeat !== undefined && given.heartbeat !== false && foreign.codec.heartbeat === undefined) {
    conflict(
      'heartbeat asks the peer for a sign of life, and the foreign protocol has no way to: add heartbeat to the codec, or leave the option out; keepAlive watches the connection then',
    );
  }
}
