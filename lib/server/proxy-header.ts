import { isIPv4, isIPv6 } from 'node:net';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { clientAddress, type ClientAddress } from './client-address.js';

/** Longest line of version 1, its end included (section 2.1). */
const MAX_LINE_BYTES = 107;
/** Addresses take 36 bytes; the rest is room for what proxies say of themselves. As much as nginx takes. */
const MAX_HEADER_BYTES = 4096;
const TEXT_SIGNATURE = Buffer.from('PROXY ');
const BINARY_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Signature, version and command, family and protocol, length. */
const BINARY_HEAD_BYTES = 16;
const CRLF = '\r\n';
const FAMILIES = new Map([
  ['TCP4', isIPv4],
  ['TCP6', isPlainIPv6],
]);

const COMMAND = { local: 0, proxy: 1 } as const;
/** Bytes of both addresses and ports, by family (AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX). */
const ADDRESS_BYTES = [0, 12, 36, 216] as const;
const INET = 1;
const INET6 = 2;
const STREAM = 1;
const MAX_TRANSPORT = 2;

/** What a header says, and the bytes behind it. */
export interface ProxyHeader {
  /** Whom the connection is for; undefined where the proxy made it for itself, or does not say. */
  readonly client: ClientAddress | undefined;
  readonly rest: Buffer;
}

/**
 * Reads one header of the PROXY protocol, version 1 or 2, in pieces of any size. What begins differently is refused
 * with its first wrong byte.
 *
 * @see https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, sections 2.1 and 2.2
 */
export class ProxyHeaderReader {
  #bytes = Buffer.alloc(0);

  /**
   * @returns the header, once it is whole
   * @throws PooledTcpError `PTCP_FRAME_MALFORMED`
   */
  push(chunk: Buffer): ProxyHeader | undefined {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length === 0) return undefined;
    if (beginsLike(this.#bytes, TEXT_SIGNATURE)) return readLine(this.#bytes);
    if (beginsLike(this.#bytes, BINARY_SIGNATURE)) return readBinary(this.#bytes);
    throw malformed('does not begin like one');
  }
}

/** As far as there are bytes. */
function beginsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

function readLine(bytes: Buffer): ProxyHeader | undefined {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf(CRLF);
  if (end === -1) {
    if (bytes.length >= MAX_LINE_BYTES) throw malformed(`has no end within ${MAX_LINE_BYTES} bytes`);
    return undefined;
  }
  const rest = bytes.subarray(end + CRLF.length);
  const [, family = '', ...fields] = bytes.toString('latin1', 0, end).split(' ');
  if (family === 'UNKNOWN') return { client: undefined, rest };
  const isAddress = FAMILIES.get(family);
  if (isAddress === undefined) throw malformed('names no family that there is');
  const [source = '', destination = '', sourcePort, destinationPort, ...more] = fields;
  if (!isAddress(source) || !isAddress(destination)) throw malformed('has an address that is none of its family');
  const port = portOf(sourcePort);
  portOf(destinationPort);
  if (more.length > 0) throw malformed('has too many fields');
  return { client: clientAddress(source, port), rest };
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

/** Without leading zeros, as the specification demands. */
function portOf(text: string | undefined): number {
  if (text === undefined || !/^(0|[1-9]\d{0,4})$/.test(text) || Number(text) > 65_535)
    throw malformed('has a port that is none');
  return Number(text);
}

function readBinary(bytes: Buffer): ProxyHeader | undefined {
  if (bytes.length < BINARY_HEAD_BYTES) return undefined;
  const [versionAndCommand = 0, familyAndTransport = 0] = bytes.subarray(BINARY_SIGNATURE.length);
  const [version, command] = [versionAndCommand >> 4, versionAndCommand & 0xf];
  const [family, transport] = [familyAndTransport >> 4, familyAndTransport & 0xf];
  if (version !== 2) throw malformed(`is of version ${version}`);
  if (command !== COMMAND.local && command !== COMMAND.proxy) throw malformed(`has the command ${command}`);
  const length = bytes.readUInt16BE(BINARY_HEAD_BYTES - 2);
  const total = BINARY_HEAD_BYTES + length;
  if (total > MAX_HEADER_BYTES) throw malformed(`is larger than ${MAX_HEADER_BYTES} bytes`);
  if (command === COMMAND.proxy) {
    const needed = ADDRESS_BYTES[family];
    if (needed === undefined || transport > MAX_TRANSPORT) throw malformed('names no family that there is');
    if (length < needed) throw malformed('is too short for its addresses');
  }
  if (bytes.length < total) return undefined;
  const rest = bytes.subarray(total);
  // What is no TCP connection is taken as unspecified, as the specification allows.
  const isTcp = transport === STREAM && (family === INET || family === INET6);
  if (command === COMMAND.local || !isTcp) return { client: undefined, rest };
  const size = family === INET ? 4 : 16;
  const source = bytes.subarray(BINARY_HEAD_BYTES, BINARY_HEAD_BYTES + size);
  return {
    client: clientAddress(addressText(source), bytes.readUInt16BE(BINARY_HEAD_BYTES + 2 * size)),
    rest,
  };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
  // Shortened by the platform, so that one address has one spelling.
  return new URL(`http://[${groups}]`).hostname.slice(1, -1);
}

function malformed(what: string): PooledTcpError {
  return new PooledTcpError('PTCP_FRAME_MALFORMED', `the header of the PROXY protocol ${what}`);
}
