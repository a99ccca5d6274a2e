import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import { toJson } from '../json.js';
import type { MessageWriter } from '../messages.js';
import { HEAD_BYTES, LENGTH_BYTES, MAX_PATTERN_BYTES, PAYLOAD } from './format.js';

/** Text from this length on is encoded apart: reserving three bytes a character would waste the slab. */
const LONG_TEXT = 16 * 1024;

/** A payload, ready to be measured and written. */
type EncodedPayload = string | Buffer | undefined;

/** Writes native frames: the head and fields into the slab, then the payload in place or by reference. */
export class NativeEncoder {
  readonly #writer: MessageWriter;
  readonly #maxFrameBytes: number;

  constructor(writer: MessageWriter, maxFrameBytes: number) {
    this.#writer = writer;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * Writes one frame. Throws before any byte is written.
   *
   * @param fieldBytes most that `fields` writes
   * @param fields writes the type's own fields from a position and returns where they end
   * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`
   */
  write(
    type: number,
    flags: number,
    fieldBytes: number,
    fields: (slab: Buffer, at: number) => number,
    data?: unknown,
  ): void {
    const payload = encodePayload(data);
    const kind = payload === undefined ? PAYLOAD.none : typeof payload === 'string' ? PAYLOAD.json : PAYLOAD.raw;
    const body = typeof payload === 'string' && payload.length >= LONG_TEXT ? Buffer.from(payload, 'utf8') : payload;
    const { output } = this.#writer;
    const inPlace = typeof body === 'string' ? body.length * 3 : 0;
    const otherBytes = HEAD_BYTES + fieldBytes;
    // Characters are counted as bytes only where even three bytes each would fit.
    this.#check(
      otherBytes +
        (typeof body === 'string' && otherBytes + inPlace > this.#maxFrameBytes
          ? Buffer.byteLength(body)
          : (body?.length ?? 0)),
    );

    const { slab, position } = output.reserve(HEAD_BYTES + fieldBytes + inPlace);
    slab[position + LENGTH_BYTES] = type;
    slab[position + LENGTH_BYTES + 1] = flags | kind;
    let end = fields(slab, position + HEAD_BYTES);
    if (typeof body === 'string') end += slab.write(body, end, 'utf8');
    const trailing = Buffer.isBuffer(body) ? body.length : 0;
    slab.writeUInt32BE(end + trailing - position - LENGTH_BYTES, position);
    output.commit(end);
    if (Buffer.isBuffer(body)) output.append(body);
    this.#writer.schedule();
  }

  /** Writes a frame whose only field is a number: a call's id, or a heartbeat's token. */
  writeNumber(type: number, number: number, data?: unknown): void {
    this.write(type, 0, 4, (slab, at) => slab.writeUInt32BE(number, at), data);
  }

  #check(frameBytes: number): void {
    if (frameBytes <= this.#maxFrameBytes) return;
    throw new PooledTcpError(
      'PTCP_FRAME_TOO_LARGE',
      `a message of ${frameBytes} bytes or more is larger than maxFrameBytes (${this.#maxFrameBytes})`,
    );
  }
}

/** @throws PooledTcpError `PTCP_FRAME_TOO_LARGE` when the pattern's length does not fit its field */
export function encodePattern(route: string): Buffer {
  const spelled = Buffer.from(route, 'utf8');
  if (spelled.length <= MAX_PATTERN_BYTES) return spelled;
  throw new PooledTcpError(
    'PTCP_FRAME_TOO_LARGE',
    `a pattern of ${spelled.length} bytes is longer than ${MAX_PATTERN_BYTES}`,
  );
}

/** Binary data stays as it is; everything else becomes JSON. */
function encodePayload(data: unknown): EncodedPayload {
  if (Buffer.isBuffer(data)) return data;
  if (data instanceof Uint8Array) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return toJson(data);
}
