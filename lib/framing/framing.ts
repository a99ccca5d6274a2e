/**
 * One way to cut a byte stream into frames. Pure: no sockets, no timers, no state outside the decoder.
 *
 * `encode` returns the bytes of one frame as one or more buffers, written in order. The payload is passed
 * through by reference where the format allows.
 */
export interface Framing {
  encode(payload: Buffer): Buffer[];
  /** A decoder for one connection; `onFrame` gets the payload of each whole frame, in order. */
  createDecoder(onFrame: (frame: Buffer) => void): FrameDecoder;
  /** A frame is over only when the peer ends the stream: there is one for each connection. Default false. */
  readonly endsWithStream?: boolean | undefined;
}

export interface FrameDecoder {
  /**
   * Takes the bytes of one read, of any size, and may keep them. After it has thrown, the stream is out of step and the decoder
   * must not be used again.
   *
   * @throws PooledTcpError `PTCP_FRAME_MALFORMED` or `PTCP_FRAME_TOO_LARGE`; a size is checked before the
   * body is buffered
   */
  push(chunk: Buffer): void;
  /**
   * The peer ended the stream.
   *
   * @throws PooledTcpError `PTCP_FRAME_MALFORMED` when a frame was cut short
   */
  end?(): void;
  /**
   * Bytes that have arrived of a frame which is not whole yet; 0 between frames. A server watches by it that a frame
   * which has begun goes on. Left out, it is estimated.
   */
  readonly partialBytes?: number | undefined;
}

/** Dubbo's payload limit; larger frames are refused unless the option says otherwise. */
export const DEFAULT_MAX_FRAME_BYTES = 8 * 1024 * 1024;
