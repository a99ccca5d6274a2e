import type { Clock } from '../../common/clock.js';
import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import type { PayloadEncoder, PayloadScope } from '../codec.js';
import { jsonCodec } from '../json-codec.js';
import { toJson } from '../json.js';
import type { CallId, EncodedMessage, MessageWriter } from '../messages.js';
import { TextSource } from './text-source.js';
import { toUtf8 } from '../utf8.js';
import { NO_FIELDS, NumberField, type FrameFields } from './frame-fields.js';
import { FRAGMENT_FROM_BYTES, FragmentSender, type LargeMessage } from './fragment-sender.js';
import { HEAD_BYTES, LENGTH_BYTES, MAX_PATTERN_BYTES, PAYLOAD } from './format.js';

/** Text from this length on is encoded apart: reserving three bytes a character would waste the slab. */
const LONG_TEXT = 16 * 1024;

/** A payload, ready to be measured and written. */
type EncodedPayload = ReturnType<PayloadEncoder['encode']>;

/**
 * Writes native frames: the head and fields into the slab, then the payload in place or by reference. Large ones go
 * to the {@link FragmentSender}, and what the same call sends after them.
 */
export class NativeEncoder {
  readonly #writer: MessageWriter;
  readonly #clock: Clock;
  #fragments: FragmentSender | undefined;
  readonly #maxFrameBytes: number;
  readonly #payloads: PayloadEncoder;
  /** Kind of the payload that was made last. */
  #kind: number = PAYLOAD.none;

  constructor(
    writer: MessageWriter,
    clock: Clock,
    maxFrameBytes: number,
    payloads: PayloadEncoder = jsonCodec.encoder(maxFrameBytes),
  ) {
    this.#writer = writer;
    this.#clock = clock;
    this.#maxFrameBytes = maxFrameBytes;
    this.#payloads = payloads;
  }

  /** What large messages leave by; undefined before the first of them. */
  get fragments(): FragmentSender | undefined {
    return this.#fragments;
  }

  /**
   * Writes one frame. Throws before any byte is written.
   *
   * @param id of the call that the message belongs to, if it does
   * @param onGone called once a message that is kept back has been written, or never will be
   * @returns bytes of the frame
   * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`, `PTCP_WRITE_OVERFLOW`
   */
  write(type: number, flags: number, fields: FrameFields, data?: unknown, id?: CallId, onGone?: () => void): number {
    const isBehind = id !== undefined && this.#fragments?.holds(id) === true;
    // What is overtaken cannot build on what was written before it.
    const body = this.#body(data, HEAD_BYTES + fields.bytes, isBehind ? 'message' : 'connection', true);
    if (isBehind || body instanceof TextSource || isLarge(body)) {
      const message = assemble(type, flags | this.#kind, fields, body);
      this.#sender().add(id, message, onGone);
      return message.bytes;
    }
    const frameBytes = this.#put(type, flags | this.#kind, fields, body);
    // Not for bytes and texts, of which the codec knows nothing: what it made last may have been refused.
    if (this.#kind === this.#payloads.kind) this.#payloads.written();
    return frameBytes;
  }

  /** Writes a frame whose only field is a number: a call's id, or a heartbeat's token. */
  writeNumber(type: number, number: number, data?: unknown, id?: CallId): number {
    return this.write(type, 0, new NumberField(number), data, id);
  }

  /** The same frame as bytes of its own, to be written later. */
  encodeNumber(type: number, number: number, data: unknown): EncodedMessage {
    return this.encode(type, new NumberField(number), data);
  }

  /** Writes what {@link encodeNumber} made. Its bytes are held already, and no longer once they are in the output. */
  writeEncoded(id: CallId, message: EncodedMessage): void {
    if (message.bytes >= FRAGMENT_FROM_BYTES || this.#fragments?.holds(id) === true) {
      this.#sender().adopt(id, message);
      return;
    }
    this.#writer.hold(-message.bytes);
    for (const part of message.parts) this.#writer.output.append(part);
    this.#writer.schedule();
  }

  /** Any frame as bytes of its own, which build on nothing that was sent before. */
  encode(type: number, fields: FrameFields, data: unknown): EncodedMessage {
    const body = this.#body(data, HEAD_BYTES + fields.bytes, 'message', false);
    return assemble(type, this.#kind, fields, body);
  }

  /**
   * Writes what {@link encode} made, and what belongs to no call.
   *
   * @param onGone called once a message that is kept back has been written, or never will be
   * @returns whether it is kept back
   * @throws PooledTcpError `PTCP_WRITE_OVERFLOW`
   */
  writeWhole(message: EncodedMessage, onGone: () => void): boolean {
    if (message.bytes >= FRAGMENT_FROM_BYTES) {
      this.#sender().add(undefined, message, onGone);
      return true;
    }
    for (const part of message.parts) this.#writer.output.share(part);
    this.#writer.schedule();
    return false;
  }

  /** Writes a frame that is JSON on every connection. */
  writeJson(type: number, data: unknown): void {
    const text = toJson(data);
    this.#check(HEAD_BYTES + Buffer.byteLength(text ?? ''));
    this.#put(type, PAYLOAD.json, NO_FIELDS, text);
  }

  #sender(): FragmentSender {
    return (this.#fragments ??= new FragmentSender(this.#writer, this.#clock));
  }

  /**
   * The payload, checked: with it the frame is no larger than the peer takes. Sets its kind.
   *
   * @param onTheWay whether a text that goes in fragments may become bytes with each of them
   */
  #body(data: unknown, otherBytes: number, scope: PayloadScope, onTheWay: boolean): EncodedPayload | TextSource {
    if (data instanceof Uint8Array) {
      this.#kind = PAYLOAD.raw;
      this.#check(otherBytes + data.length);
      return asBuffer(data);
    }
    // As it is: to look at each character of 4 MiB, for what JSON escapes, takes 6 ms here and 3 ms there.
    const isText = typeof data === 'string' && data.length >= LONG_TEXT && data.isWellFormed();
    const payload = isText ? data : this.#payloads.encode(data, scope);
    this.#kind = isText ? PAYLOAD.text : payload === undefined ? PAYLOAD.none : this.#payloads.kind;
    const body = typeof payload === 'string' && payload.length >= LONG_TEXT ? asBytes(payload, onTheWay) : payload;
    // Characters are counted as bytes only where even three bytes each would fit.
    this.#check(
      otherBytes +
        (typeof body === 'string' && otherBytes + body.length * 3 > this.#maxFrameBytes
          ? Buffer.byteLength(body)
          : (body?.length ?? 0)),
    );
    return body;
  }

  #put(type: number, flags: number, fields: FrameFields, body: EncodedPayload): number {
    const { output } = this.#writer;
    const isText = typeof body === 'string';
    const isTrailing = Buffer.isBuffer(body);
    const inPlace = body === undefined || isTrailing ? 0 : isText ? body.length * 3 : body.length;
    const { slab, position } = output.reserve(HEAD_BYTES + fields.bytes + inPlace);
    slab[position + LENGTH_BYTES] = type;
    slab[position + LENGTH_BYTES + 1] = flags;
    let end = fields.write(slab, position + HEAD_BYTES, false);
    // UTF-8 is what it writes unless told otherwise; being told costs a look at the word.
    if (isText) end += slab.write(body, end);
    else if (body !== undefined && !isTrailing) end = body.copyTo(slab, end);
    const frameBytes = end - position + (isTrailing ? body.length : 0);
    slab.writeUInt32BE(frameBytes - LENGTH_BYTES, position);
    output.commit(end);
    if (isTrailing) output.append(body);
    this.#writer.schedule();
    return frameBytes;
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

function isLarge(body: EncodedPayload): boolean {
  return body !== undefined && typeof body !== 'string' && body.length >= FRAGMENT_FROM_BYTES;
}

function asBytes(text: string, onTheWay: boolean): Buffer | TextSource {
  return onTheWay && text.length >= FRAGMENT_FROM_BYTES ? new TextSource(text) : toUtf8(text);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A whole frame in memory of its own; a large payload stays where it is. @param flags with the payload’s kind */
function assemble(type: number, flags: number, fields: FrameFields, body: EncodedPayload | TextSource): LargeMessage {
  const text = body instanceof TextSource ? body : undefined;
  const payload = body instanceof TextSource ? undefined : keep(body);
  const head = Buffer.alloc(HEAD_BYTES + fields.bytes);
  head[LENGTH_BYTES] = type;
  head[LENGTH_BYTES + 1] = flags;
  const end = fields.write(head, HEAD_BYTES, true);
  const bytes = end + (payload?.length ?? text?.length ?? 0);
  head.writeUInt32BE(bytes - LENGTH_BYTES, 0);
  return { bytes, parts: payload === undefined ? [head.subarray(0, end)] : [head.subarray(0, end), payload], text };
}

/** It may stay for a while: what is small is copied, so that its owner may use the memory again. */
function keep(body: EncodedPayload): Buffer | undefined {
  if (body === undefined) return undefined;
  if (typeof body === 'string') return Buffer.from(body, 'utf8');
  if (Buffer.isBuffer(body)) return body.length < LONG_TEXT ? Buffer.from(body) : body;
  const copy = Buffer.allocUnsafe(body.length);
  body.copyTo(copy, 0);
  return copy;
}
