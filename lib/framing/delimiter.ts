import { refuse, bytes, resolveOptions, type OptionRules, type OptionsOf } from '../common/options.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { Accumulator } from './accumulator.js';
import { DEFAULT_MAX_FRAME_BYTES, type FrameDecoder, type Framing } from './framing.js';

export interface DelimiterSettings {
  /** Largest frame without its delimiter, in bytes. Default 8 MiB. */
  maxFrameBytes: number;
}

const rules: OptionRules<DelimiterSettings> = {
  maxFrameBytes: bytes({ default: DEFAULT_MAX_FRAME_BYTES, min: 1, text: 'Largest frame without its delimiter.' }),
};

/**
 * Frames that end with a delimiter, such as lines. The delimiter is not part of the frame; a payload that
 * contains it is refused by `encode` with `PTCP_FRAME_MALFORMED`, because it would arrive as two.
 *
 * @param mark text (encoded as UTF-8) or bytes that end a frame
 * @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_UNKNOWN`
 */
export function delimiter(mark: string | Buffer, options: OptionsOf<DelimiterSettings> = {}): Framing {
  const { maxFrameBytes } = resolveOptions(rules, options, 'delimiter');
  if (typeof mark !== 'string' && !Buffer.isBuffer(mark)) refuse('delimiter', mark, 'a string or a Buffer');
  const end = Buffer.from(mark as string);
  if (end.length === 0) refuse('delimiter', mark, 'at least one byte');
  return {
    encode(payload) {
      if (payload.length > maxFrameBytes) throw tooLarge(payload.length, maxFrameBytes);
      // The payload's last bytes may be the delimiter's first: 'a\n' before '\n\n' would end one byte early.
      const tail = payload.subarray(Math.max(0, payload.length - end.length + 1));
      if (payload.includes(end) || Buffer.concat([tail, end]).indexOf(end) < tail.length) {
        throw new PooledTcpError(
          'PTCP_FRAME_MALFORMED',
          `the payload contains the delimiter ${end.toString('hex')}, or ends with its beginning`,
        );
      }
      return [payload, end];
    },
    createDecoder: (onFrame) => new DelimiterDecoder(end, maxFrameBytes, onFrame),
  };
}

class DelimiterDecoder implements FrameDecoder {
  readonly #end: Buffer;
  readonly #maxFrameBytes: number;
  readonly #onFrame: (frame: Buffer) => void;
  readonly #partial = new Accumulator();

  constructor(end: Buffer, maxFrameBytes: number, onFrame: (frame: Buffer) => void) {
    this.#end = end;
    this.#maxFrameBytes = maxFrameBytes;
    this.#onFrame = onFrame;
  }

  get partialBytes(): number {
    return this.#partial.length;
  }

  push(chunk: Buffer): void {
    // The delimiter may begin in what came before: search from there, and nothing twice.
    const overlap = Math.min(this.#partial.length, this.#end.length - 1);
    let searchFrom = this.#partial.length - overlap;
    this.#partial.append(chunk);
    const bytes = this.#partial.view;
    let start = 0;
    for (;;) {
      const at = bytes.indexOf(this.#end, searchFrom);
      const frameBytes = (at === -1 ? bytes.length - (this.#end.length - 1) : at) - start;
      if (frameBytes > this.#maxFrameBytes) {
        throw tooLarge(
          frameBytes,
          this.#maxFrameBytes,
          `; it begins with ${bytes.toString('hex', start, start + SHOWN_BYTES)}`,
        );
      }
      if (at === -1) break;
      const frame = Buffer.from(bytes.subarray(start, at));
      start = at + this.#end.length;
      searchFrom = start;
      this.#onFrame(frame);
    }
    if (start > 0) {
      const rest = this.#partial.take().subarray(start);
      if (rest.length > 0) this.#partial.append(rest);
    }
  }

  end(): void {
    if (this.#partial.length === 0) return;
    throw new PooledTcpError(
      'PTCP_FRAME_MALFORMED',
      `the stream ended after ${this.#partial.length} bytes without a delimiter: ${this.#partial.view.toString('hex', 0, SHOWN_BYTES)}`,
    );
  }
}

/** As much of a frame as an error quotes. */
const SHOWN_BYTES = 32;

function tooLarge(frameBytes: number, maxFrameBytes: number, which = ''): PooledTcpError {
  return new PooledTcpError(
    'PTCP_FRAME_TOO_LARGE',
    `a frame of ${frameBytes} bytes or more is larger than maxFrameBytes (${maxFrameBytes})${which}`,
  );
}
