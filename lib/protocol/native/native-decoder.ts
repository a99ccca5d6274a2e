import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import type { LengthFieldLayout } from '../../framing/length-field-decoder.js';
import type { PayloadDecoder } from '../codec.js';
import { fromJson } from '../json.js';
import { violation } from '../protocol.js';
import type { TextPieces } from './text-pieces.js';
import { fromUtf8 } from '../utf8.js';
import { LENGTH_BYTES, PAYLOAD, PAYLOAD_MASK } from './format.js';

/** What a reader that has read nothing yet reads. */
const NOTHING = Buffer.alloc(0);

/** Reads the fields of one frame, front to back; every read checks that the bytes are there. */
export class FrameReader {
  type = 0;
  flags = 0;
  #bytes: Buffer = NOTHING;
  #start = 0;
  #position = 0;
  #end = 0;
  #isOwned = false;
  /** The payload, where it is a text that came in pieces. */
  #text: TextPieces | undefined;
  readonly #payloads: PayloadDecoder;

  constructor(payloads: PayloadDecoder) {
    this.#payloads = payloads;
  }

  /**
   * @param isOwned whether these bytes may be kept
   * @param text what follows them
   */
  reset(bytes: Buffer, start: number, end: number, isOwned: boolean, text?: TextPieces): void {
    this.#text = text;
    this.#bytes = bytes;
    this.#isOwned = isOwned;
    this.#start = start;
    this.#position = start;
    this.#end = end;
    this.type = this.uint8();
    this.flags = this.uint8();
  }

  uint8(): number {
    const at = this.#advance(1);
    return this.#bytes[at] ?? 0;
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#advance(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  text(length: number): string {
    const at = this.#advance(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  json(length: number): unknown {
    const at = this.#advance(length);
    return fromJson(this.#bytes, at, at + length);
  }

  /** Bytes of the frame, as they count for credit: those of its length field included. */
  get frameBytes(): number {
    return this.#end - this.#start + LENGTH_BYTES + (this.#text?.bytes ?? 0);
  }

  /** The rest of the frame, where it lies. */
  rest(): { readonly bytes: Buffer; readonly start: number; readonly end: number } {
    const start = this.#position;
    this.#position = this.#end;
    return { bytes: this.#bytes, start, end: this.#end };
  }

  /** The rest of the frame. @throws PooledTcpError `PTCP_PAYLOAD_MALFORMED` or `PTCP_PROTOCOL_VIOLATION` */
  payload(): unknown {
    const start = this.#position;
    this.#position = this.#end;
    switch (this.flags & PAYLOAD_MASK) {
      case PAYLOAD.none:
        return undefined;
      case PAYLOAD.json:
        return fromJson(this.#bytes, start, this.#end);
      case PAYLOAD.raw:
        return this.#slice(start);
      case PAYLOAD.text:
        return this.#readText(start);
      default:
        return this.#payloads.decode(this.flags & PAYLOAD_MASK, this.#bytes, start, this.#end);
    }
  }

  /** The payload, or the error it has; other errors pass. */
  payloadOr(malformed: (error: PooledTcpError) => void): { readonly data: unknown } | undefined {
    try {
      return { data: this.payload() };
    } catch (error) {
      if ((error as PooledTcpError).code !== 'PTCP_PAYLOAD_MALFORMED') throw error;
      malformed(error as PooledTcpError);
      return undefined;
    }
  }

  #readText(start: number): string {
    try {
      return this.#text === undefined ? fromUtf8(this.#bytes, start, this.#end) : this.#text.end();
    } catch (cause) {
      const bytes = this.#text?.bytes ?? this.#end - start;
      throw new PooledTcpError('PTCP_PAYLOAD_MALFORMED', `a text of ${bytes} bytes cannot be read`, { cause });
    }
  }

  #slice(start: number): Buffer {
    const slice = this.#bytes.subarray(start, this.#end);
    return this.#isOwned ? slice : Buffer.from(slice);
  }

  #advance(length: number): number {
    const at = this.#position;
    if (this.#end - at < length) throw violation(`a message of type ${this.type} ends inside its fields`);
    this.#position = at + length;
    return at;
  }
}

/** Of each size that an option says: all connections of a server share one. */
const layouts = new Map<number, LengthFieldLayout>();

/** How native frames are cut out of a stream. */
export function nativeLayout(maxFrameBytes: number): LengthFieldLayout {
  let layout = layouts.get(maxFrameBytes);
  if (layout === undefined) {
    layout = {
      headerBytes: LENGTH_BYTES,
      strip: LENGTH_BYTES,
      maxFrameBytes,
      frameBytes: (bytes, at) => bytes.readUInt32BE(at) + LENGTH_BYTES,
    };
    layouts.set(maxFrameBytes, layout);
  }
  return layout;
}
