import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import { MAX_DEPTH } from './limits.js';

/** Said of a value that has first to be turned into a {@link plain} one. */
export const NOT_PLAIN = -1;

/**
 * About how many bytes a value takes, or {@link NOT_PLAIN}. It also ends what would not end by itself: the package
 * follows a cycle until the stack or the memory is used up.
 *
 * @param maxBytes nothing larger can be sent
 * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE` for a cycle or too deep a value, `PTCP_FRAME_TOO_LARGE`
 */
export function measurePlain(value: unknown, maxBytes: number, depth = MAX_DEPTH): number {
  switch (typeof value) {
    case 'string':
      return value.length + 1;
    case 'number':
      return 9;
    case 'object':
      return value === null ? 1 : measureObject(value, maxBytes, depth);
    case 'bigint':
      return isInt64(value) ? 9 : unserializable('a BigInt of more than 64 bits');
    case 'function':
    case 'symbol':
      return NOT_PLAIN;
    default:
      return 3;
  }
}

function measureObject(value: object, maxBytes: number, depth: number): number {
  if (depth === 0) tooDeep();
  let bytes = 1;
  if (Array.isArray(value)) {
    checkLength(value, maxBytes);
    for (const item of value as readonly unknown[]) {
      const more = measurePlain(item, maxBytes, depth - 1);
      if (more === NOT_PLAIN) return NOT_PLAIN;
      bytes += more;
    }
    return bytes;
  }
  if (value.constructor === Object) {
    for (const key in value) {
      const more = measurePlain((value as Record<string, unknown>)[key], maxBytes, depth - 1);
      if (more === NOT_PLAIN) return NOT_PLAIN;
      bytes += more;
    }
    return bytes;
  }
  if (value instanceof Uint8Array) return value.byteLength + 5;
  return value.constructor === Date ? 15 : NOT_PLAIN;
}

/**
 * A copy made of what MessagePack has. What it has not goes the way it goes in JSON: through `toJSON`, as an object
 * of its own enumerable fields, or left out.
 *
 * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`, and whatever a `toJSON` throws
 */
export function plain(value: unknown, maxBytes: number, key = '', depth = MAX_DEPTH): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value === 'bigint' && !isInt64(value)) unserializable('a BigInt of more than 64 bits');
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof Uint8Array) return value;
  if (depth === 0) tooDeep();
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return Buffer.from(value);
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') {
    const replaced: unknown = Reflect.apply(toJSON, value, [key]);
    return replaced === value ? fields(value, maxBytes, depth) : plain(replaced, maxBytes, key, depth - 1);
  }
  if (value instanceof Number || value instanceof String || value instanceof Boolean || value instanceof BigInt)
    return plain(value.valueOf(), maxBytes, key, depth - 1);
  return fields(value, maxBytes, depth);
}

function fields(value: object, maxBytes: number, depth: number): unknown {
  if (Array.isArray(value)) {
    checkLength(value, maxBytes);
    return Array.from(value, (item, i) => plain(item, maxBytes, String(i), depth - 1));
  }
  if (value instanceof Set) return Array.from(value, (item, i) => plain(item, maxBytes, String(i), depth - 1));
  const result: Record<string, unknown> = {};
  for (const [key, item] of value instanceof Map ? textKeys(value) : Object.entries(value)) {
    if (typeof item === 'function' || typeof item === 'symbol') continue;
    // Assigned, a key __proto__ would set the prototype.
    Object.defineProperty(result, key, {
      value: plain(item, maxBytes, key, depth - 1),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return result;
}

function textKeys(map: ReadonlyMap<unknown, unknown>): (readonly [string, unknown])[] {
  return Array.from(map, ([key, value]) => {
    if (typeof key !== 'string' && typeof key !== 'number')
      unserializable('a Map with keys that are neither text nor numbers');
    return [String(key), value] as const;
  });
}

/** An element is a byte at least; a sparse array of a billion would else be walked to its end. */
function checkLength(array: readonly unknown[], maxBytes: number): void {
  if (array.length > maxBytes) {
    throw new PooledTcpError(
      'PTCP_FRAME_TOO_LARGE',
      `an array of ${array.length} elements is larger than maxFrameBytes (${maxBytes})`,
    );
  }
}

function isInt64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value;
}

function tooDeep(): never {
  unserializable(`it contains itself, or is nested deeper than ${MAX_DEPTH} levels`);
}

function unserializable(what: string): never {
  throw new PooledTcpError('PTCP_PAYLOAD_UNSERIALIZABLE', `the payload cannot be serialised: ${what}`);
}
