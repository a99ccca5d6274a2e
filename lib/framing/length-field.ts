import {
  bytes,
  conflict,
  integer,
  oneOf,
  resolveOptions,
  rule,
  refuse,
  type OptionRules,
  type OptionsOf,
} from '../common/options.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { LengthFieldDecoder, type LengthFieldLayout } from './length-field-decoder.js';
import { DEFAULT_MAX_FRAME_BYTES, type Framing } from './framing.js';
import { lengthCodec, type LengthCodecSettings } from './length-codec.js';

/**
 * Parameters of a length-prefixed frame. They are Netty's
 * (`io.netty.handler.codec.LengthFieldBasedFrameDecoder`), with two more encodings.
 */
export interface LengthFieldSettings extends LengthCodecSettings {
  /** Bytes before the length field. Default 0. */
  offset: number;
  /** Bytes of the length field: 1, 2, 3, 4 or 8 for `uint`, 1 to 10 for `ascii`, 1 to 5 for `bcd`. Default 4. */
  size: number;
  /** `uint`: binary. `ascii`: decimal digits. `bcd`: two decimal digits a byte. Default `uint`. */
  encoding: 'uint' | 'ascii' | 'bcd';
  /** Byte order of a `uint`. Default `big`. */
  byteOrder: 'big' | 'little';
  /** Added to the field's value to get the bytes after it. Default 0. */
  adjustment: number;
  /** Whether the field counts itself and what stands before it. Default false. */
  includesHeader: boolean;
  /** Bytes dropped from the front of a decoded frame. Default: up to and with the field. */
  strip: number | undefined;
  /** Largest frame, header included, in bytes. Default 8 MiB. */
  maxFrameBytes: number;
}

export type LengthFieldOptions = OptionsOf<LengthFieldSettings>;

const rules: OptionRules<LengthFieldSettings> = {
  offset: integer({ default: 0, max: 1024, text: 'Bytes before the length field.' }),
  size: integer({ default: 4, min: 1, max: 10, text: 'Bytes of the length field.' }),
  encoding: oneOf({ default: 'uint', of: ['uint', 'ascii', 'bcd'], text: 'How the field holds its number.' }),
  byteOrder: oneOf({ default: 'big', of: ['big', 'little'], text: 'Byte order of a `uint`.' }),
  adjustment: integer({ default: 0, min: -(2 ** 31), max: 2 ** 31, text: 'Added to the field’s value.' }),
  includesHeader: oneOf({
    default: false,
    of: [true, false],
    text: 'Whether the field counts itself and what stands before it.',
  }),
  strip: rule<number | undefined>(
    {
      default: undefined,
      allowed: 'a whole number, 0 or more',
      text: 'Bytes dropped from the front of a decoded frame.',
    },
    (value, path) =>
      Number.isInteger(value) && (value as number) >= 0
        ? (value as number)
        : refuse(path, value, 'a whole number, 0 or more'),
  ),
  maxFrameBytes: bytes({ default: DEFAULT_MAX_FRAME_BYTES, min: 1, text: 'Largest frame, header included.' }),
};

/**
 * Frames announced by a length field.
 *
 * `encode` writes the field and the payload. Where bytes stand before the field (`offset`), or where `strip`
 * keeps the header in the decoded frame, the payload given to `encode` must itself begin with those bytes,
 * and the field inside it is filled in: what the decoder yields can be given back to the encoder.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN` or `PTCP_OPTION_CONFLICT`
 * @example
 * ```ts
 * lengthField({ size: 2 })                                  // two bytes, big endian, then the payload
 * lengthField({ size: 4, encoding: 'ascii' })               // '0005hello'
 * lengthField({ size: 4, includesHeader: true, strip: 0 })  // CMPP: the total length leads, header kept
 * ```
 */
export function lengthField(options: LengthFieldOptions = {}): Framing {
  const settings = resolveOptions(rules, options, 'lengthField');
  const { offset, size, adjustment, maxFrameBytes } = settings;
  const codec = lengthCodec(settings);
  const headerBytes = offset + size;
  const strip = settings.strip ?? headerBytes;
  const layout: LengthFieldLayout = {
    headerBytes,
    strip,
    maxFrameBytes,
    frameBytes: (from, at) => {
      const value = codec.read(from, at + offset);
      return value + adjustment + (settings.includesHeader ? 0 : headerBytes);
    },
  };
  const kept = Math.max(headerBytes - strip, 0);
  if (strip > headerBytes) conflict(`lengthField.strip (${strip}) is greater than the header (${headerBytes} bytes)`);
  if (offset > 0 && strip > 0) {
    conflict(
      `lengthField.offset (${offset}) needs strip: 0, or encode() could not restore the ${offset} bytes before the field`,
    );
  }
  if (strip < headerBytes && strip > 0) {
    conflict(`lengthField.strip (${strip}) cuts through the length field; use 0 or ${headerBytes}`);
  }

  return {
    encode(payload) {
      const bodyBytes = payload.length - kept;
      if (bodyBytes < 0) {
        throw new PooledTcpError(
          'PTCP_FRAME_MALFORMED',
          `a frame needs at least ${kept} bytes, so that it carries its own header; got ${payload.length}`,
        );
      }
      const frameBytes = headerBytes + bodyBytes;
      if (frameBytes > maxFrameBytes) throw frameTooLarge(frameBytes, maxFrameBytes);
      const value = frameBytes - (settings.includesHeader ? 0 : headerBytes) - adjustment;
      if (value < 0 || value > codec.max) {
        throw new PooledTcpError(
          value < 0 ? 'PTCP_FRAME_MALFORMED' : 'PTCP_FRAME_TOO_LARGE',
          `a frame of ${frameBytes} bytes needs the length ${value}, but the field holds 0 to ${codec.max}`,
        );
      }
      const header = Buffer.alloc(headerBytes);
      if (kept > 0) payload.copy(header, 0, 0, headerBytes);
      codec.write(header, offset, value);
      return [header, kept > 0 ? payload.subarray(headerBytes) : payload];
    },
    createDecoder(onFrame) {
      return new LengthFieldDecoder(layout, (from, start, end) => {
        onFrame(Buffer.from(from.subarray(start, end)));
      });
    },
  };
}

export function frameTooLarge(frameBytes: number, maxFrameBytes: number): PooledTcpError {
  return new PooledTcpError(
    'PTCP_FRAME_TOO_LARGE',
    `a frame of ${frameBytes} bytes is larger than maxFrameBytes (${maxFrameBytes})`,
  );
}
