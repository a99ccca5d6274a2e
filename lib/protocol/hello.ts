import { isErrorCode } from '../errors/codes.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Output } from '../framing/output.js';
import type { CodecName } from './codec.js';
import { isRecord } from './json.js';
import { encodeNestFrame, NO_MESSAGE_HANDLER } from './nest-json.js';
import { violation } from './protocol.js';

/**
 * The hello: a request in the stock wire format to a pattern no service has. A stock server answers that it
 * has no such handler; ours answers with a welcome, and from the next byte on both speak the native protocol.
 */
export const HELLO_PATTERN = 'pooled-tcp:hello';
const HELLO_ID = 'pooled-tcp:hello';
export const PROTOCOL_VERSION = 1;
/** Every peer takes frames of this size, so that notices and refusals always fit. */
export const MIN_FRAME_BYTES = 1024;

/** The window of a peer that does not name one. */
const DEFAULT_STREAM_WINDOW_BYTES = 64 * 1024;

/** More than this is not sent ahead, whatever the peer would take. */
const MAX_STREAM_WINDOW_BYTES = 16 * 1024 * 1024;

/** What the client says about itself. */
export interface Hello {
  readonly versions: readonly number[];
  /** Largest frame this end takes, in bytes. */
  readonly maxFrameBytes: number;
  /** What each stream to this end may send before it is granted more, in bytes. */
  readonly streamWindowBytes: number;
  /** Payload codecs this end can use, best first. Left out: JSON. */
  readonly codecs?: readonly string[] | undefined;
  /** Who the client is, in whatever form the server's `authenticate` expects. Left out: it does not say. */
  readonly credentials?: unknown;
}

/** What the server says about itself. */
export interface Welcome {
  readonly version: number;
  /** Largest frame the server takes, in bytes. */
  readonly maxFrameBytes: number;
  /** What each stream to the server may send before it is granted more, in bytes. */
  readonly streamWindowBytes: number;
  /** The server closes a connection that was silent for this long; 0: never. */
  readonly idleTimeoutMs: number;
  /** Patterns the server is ready to remember for this connection. */
  readonly maxPatterns: number;
  /** The payload codec both use from now on: one of the hello's. Left out: JSON. */
  readonly codec?: CodecName | undefined;
}

/** How a peer answered the hello. */
export type HelloAnswer = { readonly kind: 'welcome'; readonly welcome: Welcome } | { readonly kind: 'stock' };

export function writeHello(output: Output, hello: Hello): void {
  encodeNestFrame(output, JSON.stringify({ pattern: HELLO_PATTERN, data: hello, id: HELLO_ID }));
}

export function writeWelcome(output: Output, id: unknown, welcome: Welcome): void {
  encodeNestFrame(output, JSON.stringify({ id, response: welcome, isDisposed: true }));
}

/** Refuses a connection in the only format that is certain to be understood: as the hello's error. */
export function writeRefusal(output: Output, id: unknown, error: PooledTcpError): void {
  encodeNestFrame(
    output,
    JSON.stringify({ id, err: { status: 'error', code: error.code, message: error.message }, isDisposed: true }),
  );
}

/**
 * The client's hello in a received packet, or undefined when the packet is something else.
 *
 * @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION` when the client takes frames too small to be told anything
 */
export function parseHello(packet: unknown): Hello | undefined {
  if (!isRecord(packet) || packet['pattern'] !== HELLO_PATTERN || packet['id'] === undefined) return undefined;
  const data = packet['data'];
  if (!isRecord(data) || !Array.isArray(data['versions']) || !isCount(data['maxFrameBytes'])) return undefined;
  if (data['maxFrameBytes'] < MIN_FRAME_BYTES) throw violation('a hello with maxFrameBytes below 1024');
  const hello = {
    versions: data['versions'].filter(isCount),
    maxFrameBytes: data['maxFrameBytes'],
    streamWindowBytes: windowOf(data),
  };
  const { codecs, credentials } = data;
  return {
    ...hello,
    ...(Array.isArray(codecs) && { codecs: codecs.filter((codec) => typeof codec === 'string') }),
    ...(credentials !== undefined && { credentials }),
  };
}

/**
 * What the peer's first frame means.
 *
 * @throws PooledTcpError what our server refused the connection with, or `PTCP_HANDSHAKE_FAILED`
 */
export function parseHelloAnswer(packet: unknown): HelloAnswer {
  if (!isRecord(packet) || packet['id'] !== HELLO_ID)
    throw handshakeFailed('an answer to something that was not asked');
  const error = packet['err'];
  if (error === NO_MESSAGE_HANDLER) return { kind: 'stock' };
  if (error !== undefined && error !== null) throw refusal(error);
  const welcome = packet['response'];
  if (!isRecord(welcome)) throw handshakeFailed('a welcome without content');
  const { version, maxFrameBytes, idleTimeoutMs, maxPatterns, codec } = welcome;
  if (version !== PROTOCOL_VERSION || !isCount(maxFrameBytes) || !isCount(idleTimeoutMs) || !isCount(maxPatterns)) {
    throw handshakeFailed('a welcome that does not fit version 1');
  }
  if (maxFrameBytes < MIN_FRAME_BYTES) throw handshakeFailed('a welcome with maxFrameBytes below 1024');
  if (codec !== undefined && codec !== 'json' && codec !== 'msgpack')
    throw handshakeFailed('a codec that nobody offered');
  const streamWindowBytes = windowOf(welcome);
  const agreed: Pick<Welcome, 'codec'> = codec === undefined ? {} : { codec };
  return {
    kind: 'welcome',
    welcome: { version, maxFrameBytes, streamWindowBytes, idleTimeoutMs, maxPatterns, ...agreed },
  };
}

function windowOf({ streamWindowBytes }: Record<string, unknown>): number {
  if (!isCount(streamWindowBytes) || streamWindowBytes === 0) return DEFAULT_STREAM_WINDOW_BYTES;
  return Math.min(streamWindowBytes, MAX_STREAM_WINDOW_BYTES);
}

function refusal(error: unknown): PooledTcpError {
  if (isRecord(error) && isErrorCode(error['code']) && typeof error['message'] === 'string') {
    return new PooledTcpError(error['code'], error['message']);
  }
  return handshakeFailed('an error that is not ours');
}

function handshakeFailed(what: string): PooledTcpError {
  return new PooledTcpError('PTCP_HANDSHAKE_FAILED', `the peer answered the hello with ${what}`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
