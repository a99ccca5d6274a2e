import type { EncodedMessage } from '../messages.js';
import type { PushWriter } from '../push-writer.js';
import { TYPE } from './format.js';
import { PatternField } from './frame-fields.js';
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
    const pattern = new PatternField(encodePattern(route));
    this.#encoder.write(TYPE.push, 0, pattern, data, undefined, gone);
    return pattern.isKeptBack;
  }

  encode(route: string, data: unknown): EncodedMessage {
    return this.#encoder.encode(TYPE.push, new PatternField(encodePattern(route)), data);
  }

  writeEncoded(message: EncodedMessage, gone: () => void): boolean {
    return this.#encoder.writeWhole(message, gone);
  }
}
