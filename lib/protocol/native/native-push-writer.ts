import type { EncodedMessage } from '../messages.js';
import type { PushWriter } from '../push-writer.js';
import { TYPE } from './format.js';
import { encodePattern, type NativeEncoder } from './native-encoder.js';
import type { NativeOptions } from './native-protocol.js';

/** Pushes of the native protocol. Their pattern is spelled out, so that the same bytes suit every connection. */
export class NativePushWriter implements PushWriter {
  readonly #encoder: NativeEncoder;
  readonly #codec: string;
  readonly #maxFrameBytes: number;

  constructor(encoder: NativeEncoder, { codec, peerMaxFrameBytes }: NativeOptions) {
    this.#encoder = encoder;
    this.#codec = codec?.name ?? 'json';
    this.#maxFrameBytes = peerMaxFrameBytes;
  }

  get format(): string {
    return `native ${this.#codec} ${this.#maxFrameBytes}`;
  }

  write(route: string, data: unknown, gone: () => void): boolean {
    const spelled = encodePattern(route);
    let isKeptBack = false;
    this.#encoder.write(
      TYPE.push,
      0,
      2 + spelled.length,
      (slab, at, isHeld) => {
        isKeptBack = isHeld;
        return slab.writeUInt16BE(spelled.length, at) + spelled.copy(slab, at + 2);
      },
      data,
      undefined,
      gone,
    );
    return isKeptBack;
  }

  encode(route: string, data: unknown): EncodedMessage {
    const spelled = encodePattern(route);
    return this.#encoder.encode(
      TYPE.push,
      2 + spelled.length,
      (slab, at) => slab.writeUInt16BE(spelled.length, at) + spelled.copy(slab, at + 2),
      data,
    );
  }

  writeEncoded(message: EncodedMessage, gone: () => void): boolean {
    return this.#encoder.writeWhole(message, gone);
  }
}
