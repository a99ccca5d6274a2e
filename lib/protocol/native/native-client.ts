import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import type { FrameDecoder } from '../../framing/framing.js';
import { isRecord } from '../json.js';
import { FAILURES, type ClientSink, type MessageWriter, type Metadata, type OutgoingMessage } from '../messages.js';
import { violation, type ClientProtocol } from '../protocol.js';
import { receiveControl } from './control.js';
import { FLAG, LITERAL_PATTERN, MAX_PATTERNS, TYPE } from './format.js';
import { nativeDecoder, type FrameReader } from './native-decoder.js';
import { encodePattern, NativeEncoder } from './native-encoder.js';

export interface NativeClientOptions {
  /** Largest frame we take, in bytes. */
  readonly maxFrameBytes: number;
  /** Largest frame the server takes, in bytes. */
  readonly peerMaxFrameBytes: number;
  /** Patterns the server remembers. */
  readonly maxPatterns: number;
}

/** Furthest deadline that its field can say, some 49 days away. */
const MAX_DEADLINE_MS = 0xffff_ffff;

/** Client side of the native protocol. */
export class NativeClientProtocol implements ClientProtocol {
  readonly name = 'native';
  readonly #encoder: NativeEncoder;
  readonly #decoder: FrameDecoder;
  readonly #sink: ClientSink;
  readonly #maxPatterns: number;
  /** Numbers given to patterns on this connection; the server learns each with its first use. */
  readonly #patterns = new Map<string, number>();

  constructor(writer: MessageWriter, sink: ClientSink, options: NativeClientOptions) {
    this.#sink = sink;
    // Whatever the server offers: the field for the number has 16 bits, and ours remembers no more.
    this.#maxPatterns = Math.min(options.maxPatterns, MAX_PATTERNS);
    this.#encoder = new NativeEncoder(writer, options.peerMaxFrameBytes);
    this.#decoder = nativeDecoder(options.maxFrameBytes, (frame) => {
      this.#receive(frame);
    });
  }

  receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
  }

  end(): void {
    this.#decoder.end?.();
  }

  request(id: number, message: OutgoingMessage, timeoutMs: number): void {
    const deadline = timeoutMs > 0 ? FLAG.deadline : 0;
    this.#write(TYPE.request, deadline, message, (slab, at) => slab.writeUInt32BE(id, at), timeoutMs);
  }

  event(message: OutgoingMessage): undefined {
    this.#write(TYPE.event, 0, message, (_slab, at) => at);
  }

  cancel(id: number): void {
    this.#encoder.writeNumber(TYPE.cancel, id);
  }

  ping(token: number): void {
    this.#encoder.writeNumber(TYPE.ping, token);
  }

  pong(token: number): void {
    this.#encoder.writeNumber(TYPE.pong, token);
  }

  #write(
    type: number,
    typeFlags: number,
    { route, data, metadata }: OutgoingMessage,
    id: (slab: Buffer, at: number) => number,
    timeoutMs = 0,
  ): void {
    const known = this.#patterns.get(route);
    const spelled = known === undefined ? encodePattern(route) : undefined;
    const number = known ?? (this.#patterns.size < this.#maxPatterns ? this.#patterns.size + 1 : LITERAL_PATTERN);
    const metadataJson = metadata === undefined ? undefined : encodeMetadata(metadata);
    const flags =
      typeFlags | (spelled === undefined ? 0 : FLAG.define) | (metadataJson === undefined ? 0 : FLAG.metadata);
    const fieldBytes = 4 + 2 + 2 + (spelled?.length ?? 0) + 4 + 4 + (metadataJson?.length ?? 0);
    this.#encoder.write(
      type,
      flags,
      fieldBytes,
      (slab, start) => {
        let at = slab.writeUInt16BE(number, id(slab, start));
        if (spelled !== undefined) at = slab.writeUInt16BE(spelled.length, at) + spelled.copy(slab, at + 2);
        if (flags & FLAG.deadline) at = slab.writeUInt32BE(Math.min(Math.ceil(timeoutMs), MAX_DEADLINE_MS), at);
        if (metadataJson !== undefined)
          at = slab.writeUInt32BE(metadataJson.length, at) + metadataJson.copy(slab, at + 4);
        return at;
      },
      data,
    );
    // Only now is it on its way: a message that threw has taught the server nothing.
    if (spelled !== undefined && number !== LITERAL_PATTERN) this.#patterns.set(route, number);
  }

  #receive(frame: FrameReader): void {
    switch (frame.type) {
      case TYPE.response:
        this.#value(frame, (id, data) => {
          this.#sink.response(id, data);
        });
        return;
      case TYPE.item:
        this.#value(frame, (id, data) => {
          this.#sink.item(id, data);
        });
        return;
      case TYPE.end:
        this.#sink.end(frame.uint32());
        return;
      case TYPE.failure: {
        const id = frame.uint32();
        const failure = FAILURES[frame.uint8()];
        if (failure === undefined) throw violation('a failure of unknown kind');
        const payload = frame.payloadOr((error) => {
          this.#sink.failure(id, 'malformed', error.message);
        });
        if (payload !== undefined) this.#sink.failure(id, failure.kind, payload.data);
        return;
      }
      case TYPE.push: {
        const route = frame.text(frame.uint16());
        const payload = frame.payloadOr((error) => {
          this.#sink.malformed(error);
        });
        if (payload !== undefined) this.#sink.push(route, payload.data);
        return;
      }
      default:
        receiveControl(frame, this.#sink, 'client');
    }
  }

  #value(frame: FrameReader, deliver: (id: number, data: unknown) => void): void {
    const id = frame.uint32();
    const payload = frame.payloadOr((error) => {
      this.#sink.failure(id, 'malformed', error.message);
    });
    if (payload !== undefined) deliver(id, payload.data);
  }
}

/** Checked before it is sent: the server would close the connection over it, and with it fail every other call. */
function encodeMetadata(metadata: Metadata): Buffer {
  if (isRecord(metadata) && Object.values(metadata).every((value) => typeof value === 'string'))
    return Buffer.from(JSON.stringify(metadata), 'utf8');
  throw new PooledTcpError('PTCP_PAYLOAD_UNSERIALIZABLE', 'metadata must be an object whose values are strings');
}
