import type { Clock } from '../../common/clock.js';
import { isErrorCode } from '../../errors/codes.js';
import { LengthFieldDecoder } from '../../framing/length-field-decoder.js';
import type { PayloadCodec, PayloadDecoder } from '../codec.js';
import { jsonCodec } from '../json-codec.js';
import { isRecord } from '../json.js';
import type { CallId, EncodedMessage, GoawayNotice, MessageWriter } from '../messages.js';
import { violation, type PartialMessage, type Protocol } from '../protocol.js';
import { FRAGMENTS, TYPE } from './format.js';
import { FragmentReceiver } from './fragment-receiver.js';
import { FrameReader, nativeLayout } from './native-decoder.js';
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
  /** Reads the frames of one chunk; kept longer, it would keep the chunk. */
  #reader: FrameReader | undefined;

  /** @param end which this is, for errors */
  constructor(writer: MessageWriter, sink: S, end: 'client' | 'server', options: NativeOptions) {
    const { clock, maxFrameBytes, peerMaxFrameBytes, codec = jsonCodec } = options;
    this.sink = sink;
    this.#end = end;
    this.#maxFrameBytes = maxFrameBytes;
    this.encoder = new NativeEncoder(writer, clock, peerMaxFrameBytes, codec.encoder(peerMaxFrameBytes));
    this.#payloads = codec.decoder();
    this.#decoder = new LengthFieldDecoder(nativeLayout(maxFrameBytes), (bytes, start, end) => {
      const reader = (this.#reader ??= new FrameReader(this.#payloads));
      reader.reset(bytes, start, end);
      this.receiveMessage(reader);
    });
  }

  receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
    this.#reader = undefined;
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
    this.encoder.write(TYPE.credit, 0, 8, (slab, at) =>
      slab.writeUInt32BE(bytes, slab.writeUInt32BE(id as number, at)),
    );
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
      case TYPE.fragment: {
        const bytes = this.#receiveFragment(frame);
        if (bytes > 0) this.credit(FRAGMENTS, bytes);
        return;
      }
      default:
        throw violation(`a message of type ${frame.type} sent to a ${this.#end}`);
    }
  }

  #receiveFragment(frame: FrameReader): number {
    this.#fragmentsIn ??= new FragmentReceiver(this.#maxFrameBytes, this.#payloads, (message) => {
      this.receiveMessage(message);
    });
    return this.#fragmentsIn.receive(frame);
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
