import type { LengthFieldDecoder } from '../../framing/length-field-decoder.js';
import type { PayloadCodec } from '../codec.js';
import { jsonCodec } from '../json-codec.js';
import { isRecord } from '../json.js';
import type { Clock } from '../../common/clock.js';
import {
  type CallId,
  type EncodedMessage,
  type FailureKind,
  type GoawayNotice,
  type MessageWriter,
  type Metadata,
  type ServerSink,
} from '../messages.js';
import { violation, type ServerProtocol } from '../protocol.js';
import { receiveControl, writeCredit, type ControlParts } from './control.js';
import { FLAG, LITERAL_PATTERN, MAX_PATTERNS, TYPE } from './format.js';
import { FragmentReceiver } from './fragment-receiver.js';
import { FragmentSender } from './fragment-sender.js';
import { nativeDecoder, type FrameReader } from './native-decoder.js';
import { encodePattern, NativeEncoder } from './native-encoder.js';
import { readFailure, readItem, writeFailure } from './stream-messages.js';

/** What the table of one connection may hold: 1 KiB for each pattern, which none that people write comes near. */
const MAX_PATTERN_CHARS = 1024 * MAX_PATTERNS;

export interface NativeServerOptions {
  readonly clock: Clock;
  /** Largest frame we take, in bytes. */
  readonly maxFrameBytes: number;
  /** Largest frame the client takes, in bytes. */
  readonly peerMaxFrameBytes: number;
  /** How payloads are encoded, as agreed on in the hello. Default JSON. */
  readonly codec?: PayloadCodec | undefined;
}

/** Server side of the native protocol. */
export class NativeServerProtocol implements ServerProtocol {
  readonly name = 'native';
  readonly hasCredit = true;
  readonly #encoder: NativeEncoder;
  readonly #fragments: FragmentSender;
  readonly #control: ControlParts;
  readonly #decoder: LengthFieldDecoder;
  readonly #sink: ServerSink;
  /** What the client's pattern numbers stand for; number n is at n - 1. */
  readonly #patterns: string[] = [];
  #patternChars = 0;

  constructor(writer: MessageWriter, sink: ServerSink, options: NativeServerOptions) {
    const { codec = jsonCodec } = options;
    this.#sink = sink;
    this.#fragments = new FragmentSender(writer, options.clock);
    const payloads = codec.encoder(options.peerMaxFrameBytes);
    this.#encoder = new NativeEncoder(writer, this.#fragments, options.peerMaxFrameBytes, payloads);
    const decoder = codec.decoder();
    const receive = (frame: FrameReader): void => {
      this.#receive(frame);
    };
    this.#decoder = nativeDecoder(options.maxFrameBytes, decoder, receive);
    this.#control = {
      sink,
      encoder: this.#encoder,
      fragmentsOut: this.#fragments,
      fragmentsIn: new FragmentReceiver(options.maxFrameBytes, decoder, receive),
    };
  }

  receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
  }

  end(): void {
    this.#decoder.end();
  }

  get partialBytes(): number {
    return this.#decoder.partialBytes;
  }

  response(id: CallId, data: unknown): void {
    this.#encoder.writeNumber(TYPE.response, id as number, data, id);
  }

  item(id: CallId, data: unknown): number {
    return Math.abs(this.#encoder.writeNumber(TYPE.item, id as number, data, id));
  }

  encodeItem(id: CallId, data: unknown): EncodedMessage {
    return this.#encoder.encodeNumber(TYPE.item, id as number, data);
  }

  writeEncoded(id: CallId, item: EncodedMessage): void {
    this.#encoder.writeEncoded(id, item);
  }

  completed(id: CallId): void {
    this.#encoder.writeNumber(TYPE.end, id as number, undefined, id);
  }

  credit(id: CallId, bytes: number): void {
    writeCredit(this.#encoder, id as number, bytes);
  }

  /** Nothing more of this call is sent; the client does not want it. */
  cancelled(id: CallId): void {
    this.#fragments.drop(id);
  }

  flush(): void {
    this.#fragments.flush();
  }

  closed(): void {
    this.#fragments.closed();
  }

  failure(id: CallId, kind: FailureKind, error: unknown): void {
    writeFailure(this.#encoder, id as number, kind, error);
  }

  push(route: string, data: unknown): void {
    const spelled = encodePattern(route);
    this.#encoder.write(
      TYPE.push,
      0,
      2 + spelled.length,
      (slab, at) => slab.writeUInt16BE(spelled.length, at) + spelled.copy(slab, at + 2),
      data,
    );
  }

  goaway(notice: GoawayNotice): void {
    this.#encoder.writeJson(TYPE.goaway, notice);
  }

  ping(token: number): void {
    this.#encoder.writeNumber(TYPE.ping, token);
  }

  pong(token: number): void {
    this.#encoder.writeNumber(TYPE.pong, token);
  }

  #receive(frame: FrameReader): void {
    switch (frame.type) {
      case TYPE.request: {
        const id = frame.uint32();
        const route = this.#readPattern(frame);
        const timeoutMs = frame.flags & FLAG.deadline ? frame.uint32() : undefined;
        const metadata = readMetadata(frame);
        const payload = frame.payloadOr((error) => {
          this.failure(id, 'malformed', error.message);
        });
        const isStreaming = (frame.flags & FLAG.stream) !== 0;
        if (payload !== undefined) this.#sink.request(id, route, payload.data, metadata, timeoutMs, isStreaming);
        return;
      }
      case TYPE.item:
        readItem(frame, this.#sink);
        return;
      case TYPE.end:
        this.#sink.end(frame.uint32());
        return;
      case TYPE.failure:
        readFailure(frame, this.#sink);
        return;
      case TYPE.event: {
        const route = this.#readPattern(frame);
        const metadata = readMetadata(frame);
        const payload = frame.payloadOr((error) => {
          this.#sink.malformed(error);
        });
        if (payload !== undefined) this.#sink.event(route, payload.data, metadata);
        return;
      }
      case TYPE.cancel:
        this.#sink.cancel(frame.uint32());
        return;
      default:
        receiveControl(frame, this.#control, 'server');
    }
  }

  #readPattern(frame: FrameReader): string {
    const number = frame.uint16();
    if (frame.flags & FLAG.define) {
      const route = frame.text(frame.uint16());
      if (number === LITERAL_PATTERN) return route;
      if (number !== this.#patterns.length + 1 || number > MAX_PATTERNS)
        throw violation(`pattern number ${number} defined out of order`);
      this.#patternChars += route.length;
      if (this.#patternChars > MAX_PATTERN_CHARS)
        throw violation(`patterns of more than ${MAX_PATTERN_CHARS} characters`);
      this.#patterns.push(route);
      return route;
    }
    const route = this.#patterns[number - 1];
    if (route === undefined) throw violation(`pattern number ${number} was never defined`);
    return route;
  }
}

function readMetadata(frame: FrameReader): Metadata | undefined {
  if (!(frame.flags & FLAG.metadata)) return undefined;
  const metadata = frame.json(frame.uint32());
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw violation('metadata that is not an object of strings');
  }
  return metadata as Metadata;
}
