/**
 * The native protocol's numbers; docs/PROTOCOL.md specifies them to the byte. All integers are big endian.
 *
 * ```
 * 0       4      5       6
 * | length | type | flags | fields of the type … | payload … |
 * ```
 * `length` counts what follows it.
 */
export const LENGTH_BYTES = 4;
/** Length field, type and flags. */
export const HEAD_BYTES = 6;

export const TYPE = {
  request: 1,
  event: 2,
  response: 3,
  item: 4,
  end: 5,
  failure: 6,
  cancel: 7,
  ping: 8,
  pong: 9,
  goaway: 10,
  push: 11,
  credit: 12,
  fragment: 13,
} as const;

/** What the payload is: the low four bits of `flags`. */
export const PAYLOAD = {
  none: 0,
  json: 1,
  raw: 2,
  /** MessagePack that stands alone: can be read whatever was, or was not, read before. */
  msgpack: 3,
  /** MessagePack that builds on what was sent before on this connection: must be read, and in order. */
  msgpackShared: 4,
  /** One text, in UTF-8. */
  text: 5,
} as const;
export const PAYLOAD_MASK = 0x0f;

/** High bits of `flags` on requests and events: which optional fields follow, in this order. */
export const FLAG = { define: 0x10, deadline: 0x20, metadata: 0x40, stream: 0x80 } as const;

/** High bits of `flags` on fragments. */
export const FRAGMENT_FLAG = { first: 0x10, dropped: 0x20 } as const;
/** Of the first fragment of a message: its length follows the head. */
export const FRAGMENT_HEAD_BYTES = HEAD_BYTES + 4;
/** The id of credit that acknowledges fragments, and no stream. */
export const FRAGMENTS = 0;

/** Pattern number of a pattern that is spelled out and not to be remembered. */
export const LITERAL_PATTERN = 0;
/** Patterns a server remembers for each connection. */
export const MAX_PATTERNS = 1024;
/** Longest text that is remembered. A longer one is spelled out each time, so that a connection's table stays small. */
export const MAX_NUMBERED_PATTERN_BYTES = 256;
export const MAX_PATTERN_BYTES = 0xffff;
