import { bytes, resolveOptions, type OptionRules, type OptionsOf } from '../common/options.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { Accumulator } from './accumulator.js';
import { DEFAULT_MAX_FRAME_BYTES, type Framing } from './framing.js';

export interface UntilCloseSettings {
  /** Largest frame, in bytes. Default 8 MiB. */
  maxFrameBytes: number;
}

const rules: OptionRules<UntilCloseSettings> = {
  maxFrameBytes: bytes({ default: DEFAULT_MAX_FRAME_BYTES, min: 1, text: 'Largest frame.' }),
};

/**
 * One frame a connection: everything up to the end of the stream, as in HTTP/1.0 or finger. The frame is
 * handed on by `end()`; a stream that ends without a byte yields none.
 */
export function untilClose(options: OptionsOf<UntilCloseSettings> = {}): Framing {
  const { maxFrameBytes } = resolveOptions(rules, options, 'untilClose');
  const check = (frameBytes: number): void => {
    if (frameBytes <= maxFrameBytes) return;
    throw new PooledTcpError(
      'PTCP_FRAME_TOO_LARGE',
      `a frame of ${frameBytes} bytes or more is larger than maxFrameBytes (${maxFrameBytes})`,
    );
  };
  return {
    endsWithStream: true,
    encode(payload) {
      check(payload.length);
      return [payload];
    },
    createDecoder(onFrame) {
      const partial = new Accumulator();
      return {
        get partialBytes() {
          return partial.length;
        },
        push(chunk) {
          check(partial.length + chunk.length);
          partial.append(chunk);
        },
        end() {
          if (partial.length > 0) onFrame(partial.take());
        },
      };
    },
  };
}
