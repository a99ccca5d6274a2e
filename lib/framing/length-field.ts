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
  /**
   * The bytes that stand before the field in every frame, such as a magic number; only where `strip` drops them. A frame
   * that begins otherwise is refused. Default: none.
   */
  prefix: Buffer | undefined;
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
  prefix: rule<Buffer | undefined>(
    { default: undefined, allowed: 'a Buffer', text: 'The bytes before the field, where `strip` drops them.' },
    (value, path) => (Buffer.isBuffer(value) ? Buffer.from(value) : refuse(path, value, 'a Buffer')),
  ),
  maxFrameBytes: bytes({ default: DEFAULT_MAX_FRAME_BYTES, min: 1, text: 'Largest frame, header included.' }),
};

/**
 * Frames announced by a length field.
 *
 * `encode` writes the field and the payload. Where `strip: 0` keeps the header in the decoded frame, the payload given to
 * `encode` must itself begin with a header, and the field inside it is filled in: what the decoder yields can be given
 * back to the encoder. Bytes before the field (`offset`) that are stripped must be the same in every frame: `prefix`.
 *
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN` or `PTCP_OPTION_CONFLICT`
 * @example
 * ```ts
 * lengthField({ size: 2 })                                  // two bytes, big endian, then the payload
 * lengthField({ size: 4, encoding: 'ascii' })               // '0005hello'
 * lengthField({ size: 4, includesHeader: true, strip: 0 })  // CMPP: the total length leads, header kept
 * lengthField({ offset: 2, size: 2, strip: 4, prefix: Buffer.from('CAFE', 'hex') })  // a magic number, then the length
 * ```
 */
export function lengthField(options: LengthFieldOptions = {}): Framing {
  const settings = resolveOptions(rules, options, 'lengthField');
  const { offset, size, adjustment, maxFrameBytes, prefix } = settings;
  const codec = lengthCodec(settings);
  const headerBytes = offset + size;
  const strip = settings.strip ?? headerBytes;
  const layout: LengthFieldLayout = {
    headerBytes,
    strip,
    maxFrameBytes,
    frameBytes: (from, at) => {
      if (prefix !== undefined && prefix.compare(from, at, at + offset) !== 0) {
        throw new PooledTcpError(
          'PTCP_FRAME_MALFORMED',
          `a frame begins with ${prefix.toString('hex')}, got the bytes ${from.toString('hex', at, at + headerBytes)}`,
        );
      }
      const value = codec.read(from, at + offset);
      return value + adjustment + (settings.includesHeader ? 0 : headerBytes);
    },
  };
  const kept = Math.max(headerBytes - strip, 0);
  if (strip > headerBytes) conflict(`lengthField.strip (${strip}) is greater than the header (${headerBytes} bytes)`);
  if (offset > 0 && strip > 0 && prefix === undefined) {
    conflict(
      `lengthField.offset (${offset}) needs strip: 0, or prefix, or encode() could not restore the ${offset} bytes before the field`,
    );
  }
  if (strip < headerBytes && strip > 0) {
    conflict(`lengthField.strip (${strip}) cuts through the header; use 0 or ${headerBytes}`);
  }
  if (prefix !== undefined && strip === 0)
    conflict('lengthField.prefix fills in what strip drops; with strip: 0 the payload carries these bytes itself');
  if (prefix !== undefined && prefix.length !== offset)
    conflict(
      `lengthField.prefix has ${prefix.length} bytes and lengthField.offset is ${offset}; they must be the same`,
    );

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
      prefix?.copy(header);
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
