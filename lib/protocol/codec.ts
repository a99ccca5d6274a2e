/** How payloads become bytes; agreed on for each connection in the hello. */
export type CodecName = 'json' | 'msgpack';

/**
 * What encoded bytes may build on:
 * - `connection`: all that was written before on this connection, in this order; the shortest form
 * - `message`: nothing; for payloads that may be overtaken, cut into parts or dropped on their way out
 */
export type PayloadScope = 'connection' | 'message';

/** Encoded bytes in a place that the next encode overwrites. */
export interface PackedBytes {
  readonly length: number;
  /** Copies them into the slab and returns where they end. */
  copyTo(slab: Buffer, at: number): number;
}

/** Encodes the payloads of one connection's outgoing messages. Never sees binary data on its own: that stays raw. */
export interface PayloadEncoder {
  /** The payload kind, as on the wire, of what {@link encode} returned last. */
  readonly kind: number;
  /**
   * Text to be written as UTF-8, bytes that are the caller's to keep, or bytes to be copied before anything else
   * is encoded; `undefined` where there is no value.
   *
   * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`
   */
  encode(data: unknown, scope: PayloadScope): string | Buffer | PackedBytes | undefined;
  /** What {@link encode} returned last is on its way. Not called for what was given up. */
  written(): void;
}

/** Decodes those payload kinds of one connection that are the codec's own. */
export interface PayloadDecoder {
  /**
   * @throws PooledTcpError `PTCP_PAYLOAD_MALFORMED` when only this payload is lost, `PTCP_PROTOCOL_VIOLATION` when
   * the two ends are out of step, or when the kind is not one of the codec's
   */
  decode(kind: number, bytes: Buffer, start: number, end: number): unknown;
}

/** One way to turn payloads into bytes. */
export interface PayloadCodec {
  readonly name: CodecName;
  /** @param maxBytes nothing larger can be sent */
  encoder(maxBytes: number): PayloadEncoder;
  decoder(): PayloadDecoder;
}
