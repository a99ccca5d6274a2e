import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import { Accumulator } from '../../framing/accumulator.js';
import type { PayloadDecoder } from '../codec.js';
import { violation, type PartialMessage } from '../protocol.js';
import { TextPieces } from './text-pieces.js';
import { FRAGMENT_FLAG, HEAD_BYTES, LENGTH_BYTES, PAYLOAD, PAYLOAD_MASK, TYPE } from './format.js';
import { FrameReader } from './native-decoder.js';

/** Of a response and an item, counted from their type: after it and the flags there is the id of the call. */
const START_OF_TEXT = 2 + 4;

/** Puts messages together that come in fragments: one at a time, as they are sent. */
export class FragmentReceiver implements PartialMessage {
  readonly #maxFrameBytes: number;
  readonly #payloads: PayloadDecoder;
  readonly #end: 'client' | 'server';
  readonly #onMessage: (message: FrameReader) => void;
  readonly #collected = new Accumulator();
  /** What follows the collected bytes, where that is a text. */
  #text: TextPieces | undefined;
  #total = 0;
  #begun = 0;

  /** @param end which end this is: a client reads texts as they come */
  constructor(
    maxFrameBytes: number,
    payloads: PayloadDecoder,
    end: 'client' | 'server',
    onMessage: (message: FrameReader) => void,
  ) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#payloads = payloads;
    this.#end = end;
    this.#onMessage = onMessage;
  }

  /** Whether a message has begun and is not whole. */
  get isMidMessage(): boolean {
    return this.#total > 0;
  }

  /** How many messages have begun. */
  get number(): number {
    return this.#begun;
  }

  /** What has come of the one that is not whole. */
  get bytes(): number {
    return this.#collected.length + (this.#text?.bytes ?? 0);
  }

  /**
   * @param missing bytes of the fragment that are still to come, to {@link append}
   * @returns bytes to be acknowledged once the fragment is whole
   * @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION`, `PTCP_FRAME_TOO_LARGE`
   */
  receive(frame: FrameReader, missing = 0): number {
    if (frame.flags & FRAGMENT_FLAG.dropped) {
      if (this.#total === 0) throw violation('a fragment called off that was never begun');
      this.#reset();
      return 0;
    }
    const isFirst = (frame.flags & FRAGMENT_FLAG.first) !== 0;
    if (isFirst) this.#begin(frame.uint32());
    else if (this.#total === 0) throw violation('a fragment of nothing');
    const { bytes, start, end } = frame.rest();
    const size = end - start + missing;
    if (size === 0) throw violation('an empty fragment');
    if (this.bytes + size > this.#total) throw violation('fragments longer than the message');
    const text = isFirst ? this.#beginText(bytes, start, end) : start;
    this.append(bytes, text, end);
    return size;
  }

  /** More of the fragment that was received last. */
  append(bytes: Buffer, start: number, end: number): void {
    (this.#text ?? this.#collected).append(bytes, start, end);
    if (this.bytes < this.#total) return;
    const head = this.#collected.take();
    const text = this.#text;
    this.#reset();
    // A reader of its own: the one of this fragment is still being read.
    const reader = new FrameReader(this.#payloads);
    reader.reset(head, 0, head.length, true, text);
    if (reader.type === TYPE.fragment) throw violation('a fragment in fragments');
    this.#onMessage(reader);
  }

  #begin(total: number): void {
    if (this.#total !== 0) throw violation('a message in fragments inside another');
    if (total < HEAD_BYTES - LENGTH_BYTES) throw violation(`a message of ${total} bytes in fragments`);
    if (total > this.#maxFrameBytes - LENGTH_BYTES)
      throw new PooledTcpError(
        'PTCP_FRAME_TOO_LARGE',
        `a message of ${total + LENGTH_BYTES} bytes in fragments is larger than maxFrameBytes (${this.#maxFrameBytes})`,
      );
    this.#total = total;
    this.#begun += 1;
  }

  /** Takes what stands before a text, where the message is one; returns where the rest begins. */
  #beginText(bytes: Buffer, start: number, end: number): number {
    if (end - start < START_OF_TEXT || !this.#isReply(bytes[start], bytes[start + 1])) {
      this.#collected.expect(this.#total);
      return start;
    }
    this.#collected.append(bytes, start, start + START_OF_TEXT);
    this.#text = new TextPieces();
    return start + START_OF_TEXT;
  }

  /**
   * Whether it is a text for a client. At a server, what has come of messages that are not whole stays bytes: those are
   * counted, whoever sends them, and no part of the heap, which texts of clients that never end would fill.
   */
  #isReply(type = 0, flags = 0): boolean {
    if (this.#end === 'server' || (flags & PAYLOAD_MASK) !== PAYLOAD.text) return false;
    return type === TYPE.response || type === TYPE.item;
  }

  #reset(): void {
    if (this.#collected.length > 0) this.#collected.take();
    this.#text = undefined;
    this.#total = 0;
  }
}
