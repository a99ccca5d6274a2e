import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { Accumulator } from './accumulator.js';
import type { FrameDecoder } from './framing.js';

export interface LengthFieldLayout {
  /** Bytes up to and with the length field. */
  readonly headerBytes: number;
  /** Bytes left out at the front of what is handed on. */
  readonly strip: number;
  readonly maxFrameBytes: number;
  /** Bytes of the whole frame whose header begins at `at`; may throw on a malformed field. */
  frameBytes(from: Buffer, at: number): number;
}

/** Takes the bytes of one frame as they come. @param isLast whether the frame is whole with them */
export type PieceTaker = (from: Buffer, start: number, end: number, isLast: boolean) => void;

/**
 * Cuts a stream at length fields. A frame that lies whole in one chunk is handed on where it lies, without a
 * copy or even a `subarray`; one that is spread over chunks is put together once, or, where its receiver puts it together
 * itself, handed on as it comes.
 */
export class LengthFieldDecoder implements FrameDecoder {
  readonly #layout: LengthFieldLayout;
  readonly #onFrame: (from: Buffer, start: number, end: number) => void;
  readonly #partial = new Accumulator();
  /** Bytes needed before anything can be done: the header first, then the frame. */
  #needed: number;
  readonly #onSpread: ((from: Buffer, start: number, frameBytes: number) => PieceTaker | undefined) | undefined;
  #taker: PieceTaker | undefined;
  /** Bytes that are missing of the frame that is handed on as it comes. */
  #missing = 0;

  /**
   * @param onSpread asked with the rest of a chunk in which a frame begins, at `start`, that goes on in the next; what it
   * returns gets the bytes of the frame that are still to come
   */
  constructor(
    layout: LengthFieldLayout,
    onFrame: (from: Buffer, start: number, end: number) => void,
    onSpread?: (from: Buffer, start: number, frameBytes: number) => PieceTaker | undefined,
  ) {
    this.#layout = layout;
    this.#onFrame = onFrame;
    this.#onSpread = onSpread;
    this.#needed = layout.headerBytes;
  }

  /** Bytes that have arrived of a frame which is not whole yet; none of one that is handed on as it comes. */
  get partialBytes(): number {
    return this.#partial.length;
  }

  push(chunk: Buffer): void {
    let position = this.#take(chunk);
    while (this.#partial.length > 0) {
      const taken = Math.min(this.#needed - this.#partial.length, chunk.length - position);
      this.#partial.append(chunk, position, position + taken);
      position += taken;
      if (this.#partial.length < this.#needed) return;
      if (this.#partial.length === this.#layout.headerBytes) {
        this.#needed = this.#measure(this.#partial.view, 0);
        this.#partial.expect(this.#needed);
        if (this.#partial.length < this.#needed) continue;
      }
      this.#needed = this.#layout.headerBytes;
      const frame = this.#partial.take();
      this.#onFrame(frame, this.#layout.strip, frame.length);
    }
    position = this.#cut(chunk, position);
    if (position === chunk.length) return;
    if (this.#onSpread !== undefined && chunk.length - position >= this.#layout.headerBytes) {
      const frameBytes = this.#needed;
      this.#taker = this.#onSpread(chunk, position, frameBytes);
      if (this.#taker !== undefined) {
        this.#missing = frameBytes - (chunk.length - position);
        this.#needed = this.#layout.headerBytes;
        return;
      }
    }
    this.#partial.expect(this.#needed);
    this.#partial.append(chunk, position);
  }

  end(): void {
    const missing = this.#taker === undefined ? this.#needed - this.#partial.length : this.#missing;
    if (this.#taker === undefined && this.#partial.length === 0) return;
    throw new PooledTcpError('PTCP_FRAME_MALFORMED', `the stream ended ${missing} bytes short of a whole frame`);
  }

  /** Hands on what the chunk has of the frame that is handed on as it comes; returns where the rest begins. */
  #take(chunk: Buffer): number {
    const taker = this.#taker;
    if (taker === undefined) return 0;
    const taken = Math.min(this.#missing, chunk.length);
    this.#missing -= taken;
    const isLast = this.#missing === 0;
    if (isLast) this.#taker = undefined;
    taker(chunk, 0, taken, isLast);
    return taken;
  }

  /** Hands on every frame that lies whole in the chunk; returns where the rest begins. */
  #cut(chunk: Buffer, from: number): number {
    const { headerBytes, strip } = this.#layout;
    let position = from;
    while (chunk.length - position >= headerBytes) {
      const frameBytes = this.#measure(chunk, position);
      if (chunk.length - position < frameBytes) {
        this.#needed = frameBytes;
        break;
      }
      const start = position + strip;
      position += frameBytes;
      this.#onFrame(chunk, start, position);
    }
    return position;
  }

  #measure(from: Buffer, at: number): number {
    const { headerBytes, maxFrameBytes } = this.#layout;
    const frameBytes = this.#layout.frameBytes(from, at);
    if (frameBytes > maxFrameBytes) {
      throw new PooledTcpError(
        'PTCP_FRAME_TOO_LARGE',
        `a frame of ${frameBytes} bytes is larger than maxFrameBytes (${maxFrameBytes}); its header is ${from.toString('hex', at, at + headerBytes)}`,
      );
    }
    if (frameBytes < headerBytes) {
      throw new PooledTcpError(
        'PTCP_FRAME_MALFORMED',
        `the length field makes a frame of ${frameBytes} bytes, shorter than its own header (${headerBytes}): ${from.toString('hex', at, at + headerBytes)}`,
      );
    }
    return frameBytes;
  }
}
