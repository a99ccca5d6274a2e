import { bytes, refuse } from '../common/options.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { Accumulator } from './accumulator.js';
import type { FrameDecoder, Framing } from './framing.js';

const frameBytesRule = bytes({ default: 1, min: 1, text: 'Bytes of each frame.' });

/**
 * Frames that all have the same length. `encode` refuses any other with `PTCP_FRAME_MALFORMED`: with what to fill up
 * (blanks, zeros, at which end) is for the codec to know.
 *
 * @param frameBytes bytes of each frame
 * @throws PooledTcpError `PTCP_OPTION_INVALID`
 * @example
 * ```ts
 * fixedLength(256)
 * ```
 */
export function fixedLength(frameBytes: number): Framing {
  // `check` would take a number that was left out for the default.
  if ((frameBytes as unknown) === undefined) refuse('fixedLength', frameBytes, frameBytesRule.allowed);
  const size = frameBytesRule.check(frameBytes, 'fixedLength');
  return {
    encode(payload) {
      if (payload.length === size) return [payload];
      throw new PooledTcpError(
        'PTCP_FRAME_MALFORMED',
        `a frame has ${size} bytes, and the payload ${payload.length}; fill it up, or cut it, in the codec`,
      );
    },
    createDecoder: (onFrame) => new FixedLengthDecoder(size, onFrame),
  };
}

class FixedLengthDecoder implements FrameDecoder {
  readonly #size: number;
  readonly #onFrame: (frame: Buffer) => void;
  readonly #partial = new Accumulator();

  constructor(size: number, onFrame: (frame: Buffer) => void) {
    this.#size = size;
    this.#onFrame = onFrame;
  }

  get partialBytes(): number {
    return this.#partial.length;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#partial.length === 0) this.#partial.expect(this.#size);
      const taken = Math.min(this.#size - this.#partial.length, chunk.length - at);
      this.#partial.append(chunk, at, at + taken);
      at += taken;
      if (this.#partial.length === this.#size) this.#onFrame(this.#partial.take());
    }
  }

  end(): void {
    if (this.#partial.length === 0) return;
    throw new PooledTcpError(
      'PTCP_FRAME_MALFORMED',
      `the stream ended ${this.#size - this.#partial.length} bytes short of a whole frame`,
    );
  }
}
