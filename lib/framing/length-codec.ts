import { conflict } from '../common/options.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';

/** How the field holds its number. */
export interface LengthCodecSettings {
  size: number;
  encoding: 'uint' | 'ascii' | 'bcd';
  byteOrder: 'big' | 'little';
}

/** Reads and writes the number in a length field. */
export interface LengthCodec {
  /** Largest number the field holds. */
  readonly max: number;
  /** @throws PooledTcpError `PTCP_FRAME_MALFORMED` when the bytes are no number */
  read(from: Buffer, at: number): number;
  write(to: Buffer, at: number, value: number): void;
}

export function lengthCodec({ size, encoding, byteOrder }: LengthCodecSettings): LengthCodec {
  switch (encoding) {
    case 'uint':
      return unsigned(size, byteOrder === 'big');
    case 'ascii':
      return ascii(size);
    case 'bcd':
      return bcd(size);
  }
}

function unsigned(size: number, bigEndian: boolean): LengthCodec {
  if (size === 8) return unsigned64(bigEndian);
  if (size > 4) conflict(`lengthField.size (${size}) must be 1, 2, 3, 4 or 8 with encoding 'uint'`);
  return {
    max: 2 ** (8 * size) - 1,
    read: bigEndian ? (from, at) => from.readUIntBE(at, size) : (from, at) => from.readUIntLE(at, size),
    write: bigEndian
      ? (to, at, value) => void to.writeUIntBE(value, at, size)
      : (to, at, value) => void to.writeUIntLE(value, at, size),
  };
}

function unsigned64(bigEndian: boolean): LengthCodec {
  return {
    max: Number.MAX_SAFE_INTEGER,
    read(from, at) {
      const value = bigEndian ? from.readBigUInt64BE(at) : from.readBigUInt64LE(at);
      if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(from, at, 8, 'a length below 2^53');
      return Number(value);
    },
    write(to, at, value) {
      if (bigEndian) to.writeBigUInt64BE(BigInt(value), at);
      else to.writeBigUInt64LE(BigInt(value), at);
    },
  };
}

function ascii(size: number): LengthCodec {
  return {
    max: 10 ** size - 1,
    read(from, at) {
      let value = 0;
      for (let i = at; i < at + size; i++) {
        const digit = (from[i] ?? 0) - 0x30;
        if (digit < 0 || digit > 9) throw malformed(from, at, size, `${size} decimal digits`);
        value = value * 10 + digit;
      }
      return value;
    },
    write(to, at, value) {
      to.write(String(value).padStart(size, '0'), at, 'latin1');
    },
  };
}

function bcd(size: number): LengthCodec {
  if (size > 5) conflict(`lengthField.size (${size}) must be 1 to 5 with encoding 'bcd'`);
  return {
    max: 100 ** size - 1,
    read(from, at) {
      let value = 0;
      for (let i = at; i < at + size; i++) {
        const byte = from[i] ?? 0;
        const high = byte >> 4;
        const low = byte & 0x0f;
        if (high > 9 || low > 9) throw malformed(from, at, size, `${2 * size} binary-coded decimal digits`);
        value = value * 100 + high * 10 + low;
      }
      return value;
    },
    write(to, at, value) {
      let rest = value;
      for (let i = at + size - 1; i >= at; i--) {
        const pair = rest % 100;
        to[i] = (Math.floor(pair / 10) << 4) | (pair % 10);
        rest = Math.floor(rest / 100);
      }
    },
  };
}

function malformed(from: Buffer, at: number, size: number, expected: string): PooledTcpError {
  return new PooledTcpError(
    'PTCP_FRAME_MALFORMED',
    `the length field should be ${expected}, got the bytes ${from.toString('hex', at, at + size)}`,
  );
}
