import { isAscii } from 'node:buffer';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { Accumulator } from './accumulator.js';
import type { FrameDecoder, Framing } from './framing.js';
import { frameTooLarge } from './length-field.js';

const HASH = 0x23;
/** Digits of the largest length we would ever accept. */
const MAX_DIGITS = 10;

/**
 * The frame of Nest's own TCP transport, `JsonSocket`: `<length>#<JSON>`, the JSON in UTF-8, the length in
 * UTF-16 code units (what `String.length` says), so that bytes and length differ beyond ASCII.
 * Source: `@nestjs/microservices` 12.1.1, `helpers/json-socket.ts`.
 *
 * @param maxFrameBytes largest body, in bytes
 */
export function nestFrame(maxFrameBytes: number): Framing {
  return {
    encode(payload) {
      if (payload.length > maxFrameBytes) throw frameTooLarge(payload.length, maxFrameBytes);
      const units = isAscii(payload) ? payload.length : payload.toString('utf8').length;
      return [Buffer.from(`${units}#`, 'latin1'), payload];
    },
    createDecoder: (onFrame) =>
      new NestFrameDecoder(maxFrameBytes, (from, start, end) => {
        onFrame(Buffer.from(from.subarray(start, end)));
      }),
  };
}

/** Cuts a stream of stock Nest frames; each body is handed on as a range of bytes, valid during the call. */
export class NestFrameDecoder implements FrameDecoder {
  readonly #maxFrameBytes: number;
  readonly #onFrame: (from: Buffer, start: number, end: number) => void;
  readonly #partial = new Accumulator();
  #stopped = false;
  /** Body length in UTF-16 units once the header is read. */
  #units: number | undefined;
  /** Where the body has been counted up to, and how many units that was. */
  #counted = 0;
  #countedUnits = 0;

  constructor(maxFrameBytes: number, onFrame: (from: Buffer, start: number, end: number) => void) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#onFrame = onFrame;
  }

  /**
   * Called from `onFrame`: this frame was the last in this format.
   * What follows it is returned by {@link takeRest}.
   */
  stop(): void {
    this.#stopped = true;
  }

  /** The bytes after the frame at which the decoder was stopped. */
  takeRest(): Buffer {
    return this.#partial.take();
  }

  /** Bytes that have arrived of a frame which is not whole yet; its header counts as one once it is read. */
  get partialBytes(): number {
    return this.#partial.length + (this.#units === undefined ? 0 : 1);
  }

  push(chunk: Buffer): void {
    if (this.#partial.length === 0) {
      const rest = this.#cut(chunk);
      if (rest < chunk.length) this.#partial.append(chunk, rest);
      return;
    }
    // Bytes wait: look at them again only once there can be a whole frame.
    this.#partial.append(chunk);
    if (this.#units !== undefined && this.#partial.length < this.#units) return;
    const bytes = this.#partial.view;
    const rest = this.#cut(bytes);
    if (rest > 0) {
      this.#partial.take();
      if (rest < bytes.length) this.#partial.append(bytes, rest);
    }
  }

  end(): void {
    // A header is taken off as soon as it is whole: the body may be due without a byte of it being there.
    if (this.#partial.length === 0 && this.#units === undefined) return;
    throw new PooledTcpError(
      'PTCP_FRAME_MALFORMED',
      `the stream ended inside a frame, after ${this.#partial.length} bytes of its ${this.#units === undefined ? 'header' : 'body'}`,
    );
  }

  /** Hands on every whole frame; returns where the first unfinished one begins (its body, once announced). */
  #cut(bytes: Buffer): number {
    let position = 0;
    for (;;) {
      if (this.#stopped) return position;
      if (this.#units === undefined) {
        const body = this.#readHeader(bytes, position);
        if (body === undefined) return position;
        position = body;
      }
      const end = this.#findEnd(bytes, position);
      if (end === undefined) return position;
      const start = position;
      position = end;
      this.#units = undefined;
      this.#onFrame(bytes, start, end);
    }
  }

  /** Reads `<digits>#` at `at`; returns where the body begins, or undefined while the header is unfinished. */
  #readHeader(bytes: Buffer, at: number): number | undefined {
    let units = 0;
    for (let i = at; i < bytes.length; i++) {
      const byte = bytes[i] ?? 0;
      if (byte === HASH && i > at) {
        if (units > this.#maxFrameBytes) throw frameTooLarge(units, this.#maxFrameBytes);
        this.#units = units;
        this.#counted = 0;
        this.#countedUnits = 0;
        return i + 1;
      }
      const digit = byte - 0x30;
      if (digit < 0 || digit > 9 || i - at >= MAX_DIGITS) {
        throw new PooledTcpError(
          'PTCP_FRAME_MALFORMED',
          `expected a Nest frame, <length>#<JSON>, got the bytes ${bytes.toString('hex', at, Math.min(at + 16, bytes.length))}`,
        );
      }
      units = units * 10 + digit;
    }
    return undefined;
  }

  /** Where the body that begins at `start` ends, or undefined while it is unfinished. */
  #findEnd(bytes: Buffer, start: number): number | undefined {
    const units = this.#units ?? 0;
    if (bytes.length - start < units) return undefined;
    // Nearly all JSON is ASCII, where bytes are units and the native check is some 50 times faster than counting.
    if (this.#counted === 0 && isAscii(bytes.subarray(start, start + units))) return start + units;
    return this.#count(bytes, start, units);
  }

  #count(bytes: Buffer, start: number, units: number): number | undefined {
    let position = start + this.#counted;
    let counted = this.#countedUnits;
    while (counted < units) {
      const sequence = sequenceBytes(bytes[position] ?? 0);
      if (position + sequence > bytes.length) break;
      if (sequence === 0) {
        throw new PooledTcpError('PTCP_FRAME_MALFORMED', `the frame is not UTF-8 at byte ${position - start}`);
      }
      position += sequence;
      counted += sequence === 4 ? 2 : 1;
    }
    if (position - start > this.#maxFrameBytes) throw frameTooLarge(position - start, this.#maxFrameBytes);
    if (counted > units) {
      throw new PooledTcpError('PTCP_FRAME_MALFORMED', `the announced length (${units}) ends inside a character`);
    }
    if (counted === units) return position;
    this.#counted = position - start;
    this.#countedUnits = counted;
    return undefined;
  }
}

/** Bytes of the UTF-8 sequence that a byte leads; 0 for a byte that leads none. */
function sequenceBytes(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}
