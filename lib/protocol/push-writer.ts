import type { EncodedMessage } from './messages.js';

/**
 * How a protocol writes pushes that may have to wait. A message that the peer must take piece by piece is kept back:
 * then `write` returns true, and `gone` is called once it has been written, or never will be.
 */
export interface PushWriter {
  /** Connections with the same format take the same bytes. */
  readonly format: string;
  /** @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`, `PTCP_WRITE_OVERFLOW` */
  write(route: string, data: unknown, gone: () => void): boolean;
  /**
   * The same message as bytes of its own, which build on nothing that was sent before.
   *
   * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`
   */
  encode(route: string, data: unknown): EncodedMessage;
  /** Writes what {@link encode} made, be it for another connection. @throws PooledTcpError `PTCP_WRITE_OVERFLOW` */
  writeEncoded(message: EncodedMessage, gone: () => void): boolean;
}
