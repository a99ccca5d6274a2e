import { FIRST_STRUCTURE, MAX_DEPTH } from './limits.js';

/** The keys of the structures a peer has defined, by their numbers. */
export type Structures = readonly (readonly string[])[];

const UNDEFINED_EXTENSION = 0x00;
const TIMESTAMP_EXTENSION = 0xff;

// The walk's state; module variables, since a walk never yields and an object would be made for each payload.
let bytes: Buffer = Buffer.alloc(0);
let at = 0;
let end = 0;
let structures: Structures | undefined;

/**
 * Walks over one value as a peer sent it and returns where it ends. What passes is whole and holds only what this
 * protocol has, so that the package never sees a length without content, an extension that makes more than a date
 * or `undefined`, a structure nobody defined, or a nesting that its stack could not hold. The walk builds nothing.
 *
 * @param shared the structures the value may use; undefined for a value that stands alone
 * @throws Error that says what is wrong
 */
export function checkMessagePack(from: Buffer, start: number, limit: number, shared?: Structures): number {
  bytes = from;
  at = start;
  end = limit;
  structures = shared;
  checkValue(MAX_DEPTH);
  return at;
}

function checkValue(depth: number): void {
  const token = uint8();
  if (token < 0x80) {
    if (token >= FIRST_STRUCTURE && structures !== undefined) checkStructure(token - FIRST_STRUCTURE, depth);
  } else if (token < 0x90) checkMap(token & 0x0f, depth);
  else if (token < 0xa0) checkArray(token & 0x0f, depth);
  else if (token < 0xc0) skip(token & 0x1f);
  else if (token < 0xe0) checkLong(token, depth);
}

function checkLong(token: number, depth: number): void {
  switch (token) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return;
    case 0xcc: // integers and floats
    case 0xd0:
      skip(1);
      return;
    case 0xcd:
    case 0xd1:
      skip(2);
      return;
    case 0xca:
    case 0xce:
    case 0xd2:
      skip(4);
      return;
    case 0xcb:
    case 0xcf:
    case 0xd3:
      skip(8);
      return;
    case 0xc4: // binary and text
    case 0xd9:
      skip(uint8());
      return;
    case 0xc5:
    case 0xda:
      skip(uint16());
      return;
    case 0xc6:
    case 0xdb:
      skip(uint32());
      return;
    case 0xdc:
      checkArray(uint16(), depth);
      return;
    case 0xdd:
      checkArray(uint32(), depth);
      return;
    case 0xde:
      checkMap(uint16(), depth);
      return;
    case 0xdf:
      checkMap(uint32(), depth);
      return;
    default:
      checkExtension(token);
  }
}

function checkExtension(token: number): void {
  const size = token === 0xd4 ? 1 : token === 0xd6 ? 4 : token === 0xd7 ? 8 : token === 0xc7 ? uint8() : 0;
  const type = uint8();
  const isDate = type === TIMESTAMP_EXTENSION && (token === 0xc7 ? size === 12 : size > 0);
  if (!isDate && !(type === UNDEFINED_EXTENSION && token === 0xd4)) throw new Error(`extension ${type} is not taken`);
  skip(size);
}

function checkStructure(number: number, depth: number): void {
  const keys = structures?.[number];
  if (keys === undefined) throw new Error(`structure ${number} was never defined`);
  checkArray(keys.length, depth);
}

function checkArray(length: number, depth: number): void {
  checkDepth(depth);
  for (let i = 0; i < length; i++) checkValue(depth - 1);
}

function checkMap(size: number, depth: number): void {
  checkDepth(depth);
  for (let i = 0; i < size; i++) {
    checkKey();
    checkValue(depth - 1);
  }
}

/** Text or an integer: what an object can have as a key. */
function checkKey(): void {
  const token = bytes[at] ?? 0xc1;
  const isText = (token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb);
  const isInteger =
    token < FIRST_STRUCTURE ||
    (token < 0x80 && structures === undefined) ||
    (token >= 0xcc && token <= 0xd3) ||
    token >= 0xe0;
  if (!isText && !isInteger) throw new Error('a key of a map is neither text nor an integer');
  checkValue(0);
}

function checkDepth(depth: number): void {
  if (depth === 0) throw new Error(`it is nested deeper than ${MAX_DEPTH} levels`);
}

function skip(length: number): void {
  if (length > end - at) throw endsEarly();
  at += length;
}

function uint8(): number {
  if (at >= end) throw endsEarly();
  return bytes[at++] ?? 0;
}

function uint16(): number {
  skip(2);
  return bytes.readUInt16BE(at - 2);
}

function uint32(): number {
  skip(4);
  return bytes.readUInt32BE(at - 4);
}

function endsEarly(): Error {
  return new Error('it ends inside a value');
}
