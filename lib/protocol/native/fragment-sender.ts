import type { Clock } from '../../common/clock.js';
import type { CallId, EncodedMessage, MessageWriter } from '../messages.js';
import type { TextSource } from './text-source.js';
import { FragmentWindow } from './fragment-window.js';
import { FRAGMENT_FLAG, HEAD_BYTES, LENGTH_BYTES, PAYLOAD, TYPE } from './format.js';

/** Messages from this size on are sent in fragments, so that small ones do not wait behind them. */
export const FRAGMENT_FROM_BYTES = 128 * 1024;
const MIN_FRAGMENT_BYTES = 16 * 1024;
const MAX_FRAGMENT_BYTES = 64 * 1024;

/** Fragments of a text are so much shorter: with their heads, and that of the message, they are to fill a slab, and the window. */
const ROOM_FOR_HEADS = 64;

/** What is to be sent in fragments: bytes, and a text after them that becomes bytes on its way. */
export interface LargeMessage extends EncodedMessage {
  readonly text?: TextSource | undefined;
}

/** A message on its way in fragments, or waiting for its turn. */
interface HeldMessage {
  /** The call it belongs to; undefined for one that belongs to none. */
  readonly id: CallId | undefined;
  /** What has not been sent yet, but for the text. */
  parts: Buffer[];
  readonly text: TextSource | undefined;
  left: number;
  readonly total: number;
  readonly onGone: (() => void) | undefined;
}

/**
 * Sends large messages piece by piece, one message after another, and never more than a {@link FragmentWindow} of bytes
 * ahead of what the peer has acknowledged. Whatever is written meanwhile goes between the pieces: on the wire, in the
 * kernels' buffers and in the peer's event loop, a small message has at most a window before it.
 */
export class FragmentSender {
  readonly #writer: MessageWriter;
  readonly #clock: Clock;
  #messages: HeldMessage[] = [];
  /** How many messages of a call are in the queue; what else the call sends must queue behind them. */
  readonly #held = new Map<CallId, number>();
  readonly #window = new FragmentWindow();

  constructor(writer: MessageWriter, clock: Clock) {
    this.#writer = writer;
    this.#clock = clock;
  }

  /** Whether a message of this call waits here. */
  holds(id: CallId): boolean {
    return this.#messages.length > 0 && this.#held.has(id);
  }

  /**
   * @param message a whole frame, its length field included
   * @param onGone called once it has been written whole, or never will be
   * @throws PooledTcpError `PTCP_WRITE_OVERFLOW`
   */
  add(id: CallId | undefined, message: LargeMessage, onGone?: () => void): void {
    this.#writer.hold(message.bytes);
    this.adopt(id, message, onGone);
  }

  /** The same for a message whose bytes are held already. */
  adopt(id: CallId | undefined, message: LargeMessage, onGone?: () => void): void {
    const total = message.bytes - LENGTH_BYTES;
    const [head, ...rest] = message.parts;
    const parts = head === undefined ? rest : [head.subarray(LENGTH_BYTES), ...rest];
    this.#messages.push({ id, parts, text: message.text, left: total, total, onGone });
    if (id !== undefined) this.#held.set(id, (this.#held.get(id) ?? 0) + 1);
    this.#pump(this.#window.bytes);
  }

  /** The peer has read so many bytes of fragments. */
  acknowledged(bytes: number): void {
    this.#window.acknowledged(bytes, this.#clock.now());
    this.#pump(this.#window.bytes);
  }

  /** Nothing more of this call is to be sent; a message that has begun is called off. */
  drop(id: CallId): void {
    if (!this.holds(id)) return;
    const [first] = this.#messages;
    const dropped = this.#messages.filter((message) => message.id === id);
    this.#messages = this.#messages.filter((message) => message.id !== id);
    this.#held.delete(id);
    for (const message of dropped) {
      if (message === first && message.left < message.total) this.#writeDropped();
      this.#gone(message);
    }
    this.#pump(this.#window.bytes);
  }

  /** Sends everything that waits, whatever the peer has acknowledged. */
  flush(): void {
    this.#pump(Infinity);
  }

  /** The connection is gone. */
  closed(): void {
    const messages = this.#messages;
    this.#messages = [];
    this.#held.clear();
    for (const message of messages) this.#gone(message);
  }

  #pump(window: number): void {
    for (let message = this.#messages[0]; message !== undefined; message = this.#messages[0]) {
      while (message.left > 0) {
        const { underWay } = this.#window;
        if (underWay > 0 && underWay + MIN_FRAGMENT_BYTES > window) return;
        this.#writeFragment(message);
      }
      this.#messages.shift();
      this.#release(message);
      this.#gone(message);
    }
  }

  #writeFragment(message: HeldMessage): void {
    const limit = Math.min(Math.max(this.#window.bytes >> 2, MIN_FRAGMENT_BYTES), MAX_FRAGMENT_BYTES);
    const size =
      message.parts.length > 0 || message.text === undefined
        ? this.#writeParts(message, Math.min(message.left - (message.text?.left ?? 0), limit))
        : this.#writeText(message.text, Math.min(message.left, limit - ROOM_FOR_HEADS));
    message.left -= size;
    this.#window.sent(size, this.#clock.now());
    this.#writer.hold(-size);
    this.#writer.schedule();
  }

  #writeParts(message: HeldMessage, size: number): number {
    const { output } = this.#writer;
    const isFirst = message.left === message.total;
    const { slab, position } = output.reserve(HEAD_BYTES + 4);
    const fields = isFirst ? 4 : 0;
    writeHead(slab, position, isFirst ? FRAGMENT_FLAG.first : 0, fields + size);
    if (isFirst) slab.writeUInt32BE(message.total, position + HEAD_BYTES);
    output.commit(position + HEAD_BYTES + fields);
    let missing = size;
    while (missing > 0) {
      const part = message.parts[0] ?? Buffer.alloc(0);
      const taken = part.subarray(0, missing);
      output.append(taken);
      missing -= taken.length;
      if (taken.length === part.length) message.parts.shift();
      else message.parts[0] = part.subarray(taken.length);
    }
    return size;
  }

  /** Never the first: that carries the head of the message. */
  #writeText(text: TextSource, room: number): number {
    const { output } = this.#writer;
    const { slab, position } = output.reserve(HEAD_BYTES + room);
    const size = text.writeTo(slab, position + HEAD_BYTES, room);
    writeHead(slab, position, 0, size);
    output.commit(position + HEAD_BYTES + size);
    return size;
  }

  #writeDropped(): void {
    const { output } = this.#writer;
    const { slab, position } = output.reserve(HEAD_BYTES);
    writeHead(slab, position, FRAGMENT_FLAG.dropped, 0);
    output.commit(position + HEAD_BYTES);
    this.#writer.schedule();
  }

  #release({ id }: HeldMessage): void {
    if (id === undefined) return;
    const count = this.#held.get(id) ?? 0;
    if (count > 1) this.#held.set(id, count - 1);
    else this.#held.delete(id);
  }

  /** What is left of it counts no more; its length field has never been sent. */
  #gone(message: HeldMessage): void {
    this.#writer.hold(-(message.left + LENGTH_BYTES));
    message.onGone?.();
  }
}

/** @param bytes that follow the head */
function writeHead(slab: Buffer, at: number, flags: number, bytes: number): void {
  slab.writeUInt32BE(HEAD_BYTES - LENGTH_BYTES + bytes, at);
  slab[at + LENGTH_BYTES] = TYPE.fragment;
  slab[at + LENGTH_BYTES + 1] = flags | (bytes === 0 ? 0 : PAYLOAD.raw);
}
