import type { Clock } from '../../common/clock.js';
import { isErrorCode } from '../../errors/codes.js';
import { LengthFieldDecoder, type PieceTaker } from '../../framing/length-field-decoder.js';
import type { PayloadCodec, PayloadDecoder } from '../codec.js';
import { jsonCodec } from '../json-codec.js';
import { isRecord } from '../json.js';
import type { CallId, EncodedMessage, GoawayNotice, MessageWriter } from '../messages.js';
import { violation, type PartialMessage, type Protocol } from '../protocol.js';
import { FRAGMENT_FLAG, FRAGMENT_HEAD_BYTES, FRAGMENTS, LENGTH_BYTES, TYPE } from './format.js';
import { FragmentReceiver } from './fragment-receiver.js';
import { FrameReader, nativeLayout } from './native-decoder.js';
import type { FrameFields } from './frame-fields.js';
import { NativeEncoder } from './native-encoder.js';
import { readFailure, type StreamSink } from './stream-messages.js';

export interface NativeOptions {
  readonly clock: Clock;
  /** Largest frame we take, in bytes. */
  readonly maxFrameBytes: number;
  /** Largest frame the peer takes, in bytes. */
  readonly peerMaxFrameBytes: number;
  /** How payloads are encoded, as agreed on in the hello. Default JSON. */
  readonly codec?: PayloadCodec | undefined;
}

/** What either end hears of the other. */
export interface NativeSink extends StreamSink {
  end(id: number): void;
  credit(id: number, bytes: number): void;
  ping(token: number): void;
  pong(token: number): void;
  goaway(notice: GoawayNotice): void;
}

/**
 * What both ends of the native protocol do alike: frames in and out, streams, and the connection itself. An idle
 * connection holds as little as it can: what only large messages need is made by the first of them.
 */
export abstract class NativeProtocol<S extends NativeSink> implements Protocol {
  readonly name = 'native';
  readonly hasCredit = true;
  readonly hasHeartbeat = true;
  /** The hello was one. */
  readonly hasFrame = true;
  protected readonly encoder: NativeEncoder;
  protected readonly sink: S;
  readonly #end: 'client' | 'server';
  readonly #decoder: LengthFieldDecoder;
  readonly #payloads: PayloadDecoder;
  readonly #maxFrameBytes: number;
  #fragmentsIn: FragmentReceiver | undefined;
  /** Bytes of fragments of the chunk that is being received. */
  #unacknowledged = 0;
  /** What is being received, and the reader of its frames; kept longer, they would keep the chunk. */
  #chunk: Buffer | undefined;
  #reader: FrameReader | undefined;

  /** @param end which this is, for errors */
  constructor(writer: MessageWriter, sink: S, end: 'client' | 'server', options: NativeOptions) {
    const { clock, maxFrameBytes, peerMaxFrameBytes, codec = jsonCodec } = options;
    this.sink = sink;
    this.#end = end;
    this.#maxFrameBytes = maxFrameBytes;
    this.encoder = new NativeEncoder(writer, clock, peerMaxFrameBytes, codec.encoder(peerMaxFrameBytes));
    this.#payloads = codec.decoder();
    this.#decoder = new LengthFieldDecoder(
      nativeLayout(maxFrameBytes),
      (bytes, start, end) => {
        this.receiveMessage(this.#read(bytes, start, end));
      },
      (bytes, start, frameBytes) => this.#takeFragment(bytes, start, frameBytes),
    );
  }

  receive(chunk: Buffer): void {
    this.#chunk = chunk;
    try {
      this.#decoder.push(chunk);
    } finally {
      this.#chunk = undefined;
      this.#reader = undefined;
    }
    const bytes = this.#unacknowledged;
    if (bytes === 0) return;
    this.#unacknowledged = 0;
    this.credit(FRAGMENTS, bytes);
  }

  end(): void {
    this.#decoder.end();
  }

  get partialBytes(): number {
    return this.#decoder.partialBytes;
  }

  get partialMessage(): PartialMessage | undefined {
    return this.#fragmentsIn?.isMidMessage === true ? this.#fragmentsIn : undefined;
  }

  item(id: CallId, data: unknown): number {
    return this.encoder.writeNumber(TYPE.item, id as number, data, id);
  }

  encodeItem(id: CallId, data: unknown): EncodedMessage {
    return this.encoder.encodeNumber(TYPE.item, id as number, data);
  }

  writeEncoded(id: CallId, item: EncodedMessage): void {
    this.encoder.writeEncoded(id, item);
  }

  completed(id: CallId): void {
    this.encoder.writeNumber(TYPE.end, id as number, undefined, id);
  }

  credit(id: CallId, bytes: number): void {
    const fields: FrameFields = {
      bytes: 8,
      write: (slab, at) => slab.writeUInt32BE(bytes, slab.writeUInt32BE(id as number, at)),
    };
    this.encoder.write(TYPE.credit, 0, fields);
  }

  flush(): void {
    this.encoder.fragments?.flush();
  }

  closed(): void {
    this.encoder.fragments?.closed();
  }

  ping(token: number): void {
    this.encoder.writeNumber(TYPE.ping, token);
  }

  pong(token: number): void {
    this.encoder.writeNumber(TYPE.pong, token);
  }

  /**
   * Takes one message; what either end may send goes on to {@link receiveShared}.
   *
   * @throws PooledTcpError when the connection cannot go on
   */
  protected abstract receiveMessage(frame: FrameReader): void;

  /** @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION` for a type that this end is not sent */
  protected receiveShared(frame: FrameReader): void {
    switch (frame.type) {
      case TYPE.end:
        this.sink.end(frame.uint32());
        return;
      case TYPE.failure:
        readFailure(frame, this.sink);
        return;
      case TYPE.ping:
        this.sink.ping(frame.uint32());
        return;
      case TYPE.pong:
        this.sink.pong(frame.uint32());
        return;
      case TYPE.goaway:
        this.sink.goaway(readGoaway(frame));
        return;
      case TYPE.credit: {
        const id = frame.uint32();
        const bytes = frame.uint32();
        if (id === FRAGMENTS) this.encoder.fragments?.acknowledged(bytes);
        else this.sink.credit(id, bytes);
        return;
      }
      case TYPE.fragment:
        this.#unacknowledged += this.#fragments.receive(frame);
        return;
      default:
        throw violation(`a message of type ${frame.type} sent to a ${this.#end}`);
    }
  }

  #read(bytes: Buffer, start: number, end: number): FrameReader {
    const reader = (this.#reader ??= new FrameReader(this.#payloads));
    // What is put together from several chunks has memory of its own.
    reader.reset(bytes, start, end, bytes !== this.#chunk);
    return reader;
  }

  get #fragments(): FragmentReceiver {
    return (this.#fragmentsIn ??= new FragmentReceiver(this.#maxFrameBytes, this.#payloads, this.#end, (message) => {
      this.receiveMessage(message);
    }));
  }

  /**
   * A fragment that goes on in the next chunk goes into its message as it comes. Put together first, each would be memory
   * of its own, and V8 marks its heap in steps of up to 10 ms whenever a few dozen megabytes of that have come and gone.
   */
  #takeFragment(bytes: Buffer, start: number, frameBytes: number): PieceTaker | undefined {
    if (bytes.length - start < FRAGMENT_HEAD_BYTES || bytes[start + LENGTH_BYTES] !== TYPE.fragment) return undefined;
    const frame = this.#read(bytes, start + LENGTH_BYTES, bytes.length);
    if (frame.flags & FRAGMENT_FLAG.dropped) return undefined;
    const fragments = this.#fragments;
    const size = fragments.receive(frame, start + frameBytes - bytes.length);
    return (from, begin, end, isLast) => {
      if (isLast) this.#unacknowledged += size;
      fragments.append(from, begin, end);
    };
  }
}

function readGoaway(frame: FrameReader): GoawayNotice {
  const notice = frame.payload();
  if (!isRecord(notice)) throw violation('a goaway without content');
  const code = notice['code'];
  return {
    code: isErrorCode(code) ? code : undefined,
    message: typeof notice['message'] === 'string' ? notice['message'] : 'no reason given',
  };
}
