import { PooledTcpError, describeCause } from '../../errors/pooled-tcp-error.js';
import type { PayloadDecoder } from '../codec.js';
import { PAYLOAD } from '../native/format.js';
import { violation } from '../protocol.js';
import { checkMessagePack } from './check.js';
import { MAX_STRUCTURE_KEYS, MAX_STRUCTURE_KEY_BYTES, MAX_STRUCTURES } from './limits.js';
import type { MessagePackPackage, Unpackr } from './package.js';

/** Key lists that connections share, with the reader that the package compiles for each. */
const MAX_SHARED_KEY_LISTS = 1024;
const keyLists = new Map<string, string[]>();

/** Reads the MessagePack payloads of one connection. */
export class MessagePackDecoder implements PayloadDecoder {
  readonly #package: MessagePackPackage;
  readonly #alone: Unpackr;
  /** With the structures defined so far; remade for each new one, which are few. */
  #shared: Unpackr | undefined;
  #structures: string[][] = [];

  /** @param alone reads payloads that stand alone; it keeps nothing, so connections share it */
  constructor(messagePack: MessagePackPackage, alone: Unpackr) {
    this.#package = messagePack;
    this.#alone = alone;
  }

  decode(kind: number, bytes: Buffer, start: number, end: number): unknown {
    switch (kind) {
      case PAYLOAD.msgpack:
        return this.#decodeAlone(bytes, start, end);
      case PAYLOAD.msgpackShared:
        return this.#decodeShared(bytes, start, end);
      default:
        throw violation(`payload kind ${kind} is not one this version knows`);
    }
  }

  #decodeAlone(bytes: Buffer, start: number, end: number): unknown {
    try {
      return unpackWhole(this.#alone, bytes, start, end);
    } catch (cause) {
      throw new PooledTcpError(
        'PTCP_PAYLOAD_MALFORMED',
        `${end - start} bytes that should be MessagePack are not: ${describeCause(cause)}`,
      );
    }
  }

  /** Later payloads build on this one: when it cannot be read, neither can they. */
  #decodeShared(bytes: Buffer, start: number, end: number): unknown {
    try {
      const value = this.#define(bytes, start, end);
      this.#shared ??= new this.#package.Unpackr({
        structures: this.#structures,
        mapsAsObjects: true,
        copyBuffers: true,
      });
      return unpackWhole(this.#shared, bytes, value, end, this.#structures);
    } catch (cause) {
      throw violation(`a MessagePack payload that builds on earlier ones cannot be read: ${describeCause(cause)}`);
    }
  }

  /** Takes the definitions in front of a payload; returns where its value begins. */
  #define(bytes: Buffer, start: number, end: number): number {
    if (start >= end) throw new Error('it is empty');
    const count = bytes[start] ?? 0;
    let at = start + 1;
    if (count === 0) return at;
    if (this.#structures.length + count > MAX_STRUCTURES)
      throw new Error(`it defines more than ${MAX_STRUCTURES} structures`);
    const defined = [...this.#structures];
    for (let i = 0; i < count; i++) {
      const next = checkMessagePack(bytes, at, end);
      defined.push(keyList(this.#alone.unpack(bytes, { start: at, end: next })));
      at = next;
    }
    this.#structures = defined;
    this.#shared = undefined;
    return at;
  }
}

function unpackWhole(
  unpackr: Unpackr,
  bytes: Buffer,
  start: number,
  end: number,
  structures?: readonly (readonly string[])[],
): unknown {
  const rest = end - checkMessagePack(bytes, start, end, structures);
  if (rest > 0) throw new Error(`${rest} bytes follow the value`);
  return unpackr.unpack(bytes, { start, end });
}

/** The list for these keys, the same one for every connection. */
function keyList(keys: unknown): string[] {
  if (!isKeyList(keys)) {
    throw new Error(
      `a structure must have 1 to ${MAX_STRUCTURE_KEYS} different keys of at most ${MAX_STRUCTURE_KEY_BYTES} bytes, none of them __proto__`,
    );
  }
  const name = JSON.stringify(keys);
  const known = keyLists.get(name);
  if (known !== undefined) return known;
  // Full of what hostile peers made up, or of more shapes than any service has: connections keep what they use.
  if (keyLists.size >= MAX_SHARED_KEY_LISTS) keyLists.clear();
  keyLists.set(name, keys);
  return keys;
}

function isKeyList(keys: unknown): keys is string[] {
  return (
    Array.isArray(keys) &&
    keys.length > 0 &&
    keys.length <= MAX_STRUCTURE_KEYS &&
    new Set(keys).size === keys.length &&
    keys.every(
      (key) => typeof key === 'string' && key !== '__proto__' && Buffer.byteLength(key) <= MAX_STRUCTURE_KEY_BYTES,
    )
  );
}
