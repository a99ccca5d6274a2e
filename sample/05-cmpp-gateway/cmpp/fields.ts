/** One field of a message, as the specification's tables have it. */
export interface Field<V> {
  /** As the specification spells it. */
  readonly name: string;
  /** What is written where nothing is given. */
  readonly empty: V;
  encode(value: V): Buffer;
  decode(bytes: ByteReader): V;
}

/** Takes a message apart from front to back. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(size: number): Buffer {
    if (size > this.left) throw new RangeError(`needs ${size} bytes, and ${this.left} are left`);
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
}

/** An Unsigned Integer of 1 or 4 bytes, the highest byte first (section 8.1). */
export function uint(name: string, size: 1 | 4): Field<number> {
  const max = 2 ** (8 * size) - 1;
  return {
    name,
    empty: 0,
    encode: (value) => {
      if (!Number.isInteger(value) || value < 0 || value > max)
        throw new RangeError(`${value} is not a whole number from 0 to ${max}`);
      const bytes = Buffer.alloc(size);
      bytes.writeUIntBE(value, 0, size);
      return bytes;
    },
    decode: (bytes) => bytes.take(size).readUIntBE(0, size),
  };
}

/** An Unsigned Integer of 8 bytes. */
export function uint64(name: string): Field<bigint> {
  return {
    name,
    empty: 0n,
    encode: (value) => {
      if (typeof value !== 'bigint' || value < 0n || value >= 1n << 64n)
        throw new RangeError(`${String(value)} is not a bigint of 64 bits`);
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(value);
      return bytes;
    },
    decode: (bytes) => bytes.take(8).readBigUInt64BE(),
  };
}

/** An Octet String of text: ASCII, filled up with binary zeros on the right (section 8.1). */
export function text(name: string, size: number): Field<string> {
  return {
    name,
    empty: '',
    encode: (value) => {
      if (typeof value !== 'string' || !/^[\x01-\x7f]*$/.test(value)) throw new TypeError('is not ASCII text');
      if (value.length > size) throw new RangeError(`has ${value.length} characters, and room for ${size}`);
      const bytes = Buffer.alloc(size);
      bytes.write(value, 'latin1');
      return bytes;
    },
    decode: (bytes) => {
      const given = bytes.take(size);
      const end = given.indexOf(0);
      return given.toString('latin1', 0, end === -1 ? size : end);
    },
  };
}

/** An Octet String of just these bytes. */
export function octets(name: string, size: number): Field<Buffer> {
  return {
    name,
    empty: Buffer.alloc(size),
    encode: (value) => {
      if (!Buffer.isBuffer(value) || value.length !== size) throw new RangeError(`must be a Buffer of ${size} bytes`);
      return value;
    },
    // A copy: the bytes of a frame are those of whatever else arrived with it.
    decode: (bytes) => Buffer.from(bytes.take(size)),
  };
}

/** A length of one byte, and so many bytes. */
export function counted(name: string): Field<Buffer> {
  return {
    name,
    empty: Buffer.alloc(0),
    encode: (value) => {
      if (!Buffer.isBuffer(value) || value.length > 255) throw new RangeError('must be a Buffer of at most 255 bytes');
      return Buffer.concat([Buffer.of(value.length), value]);
    },
    decode: (bytes) => Buffer.from(bytes.take(bytes.take(1).readUInt8())),
  };
}

/** A count of one byte, and so many times a field. */
export function list<V>(
  item: Field<V>,
  { min, max }: { readonly min: number; readonly max: number },
): Field<readonly V[]> {
  const check = (count: number): void => {
    if (count < min || count > max) throw new RangeError(`there are ${count}, and there must be ${min} to ${max}`);
  };
  return {
    name: item.name,
    empty: [],
    encode: (values) => {
      check(values.length);
      return Buffer.concat([Buffer.of(values.length), ...values.map((value) => item.encode(value))]);
    },
    decode: (bytes) => {
      const count = bytes.take(1).readUInt8();
      check(count);
      return Array.from({ length: count }, () => item.decode(bytes));
    },
  };
}
