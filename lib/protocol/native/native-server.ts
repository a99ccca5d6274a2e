import type { CallId, FailureKind, GoawayNotice, MessageWriter, Metadata, ServerSink } from '../messages.js';
import { isMetadata } from '../messages.js';
import { violation, type ServerProtocol } from '../protocol.js';
import type { PushWriter } from '../push-writer.js';
import { FLAG, LITERAL_PATTERN, MAX_NUMBERED_PATTERN_BYTES, MAX_PATTERNS, TYPE } from './format.js';
import type { FrameReader } from './native-decoder.js';
import { NativeProtocol, type NativeOptions } from './native-protocol.js';
import { NativePushWriter } from './native-push-writer.js';
import { readItem, writeFailure } from './stream-messages.js';

/** Server side of the native protocol. */
export class NativeServerProtocol extends NativeProtocol<ServerSink> implements ServerProtocol {
  /** What the client's pattern numbers stand for; number n is at n - 1. */
  readonly #patterns: string[] = [];
  readonly pushWriter: PushWriter;

  constructor(writer: MessageWriter, sink: ServerSink, options: NativeOptions) {
    super(writer, sink, 'server', options);
    this.pushWriter = new NativePushWriter(this.encoder, options);
  }

  response(id: CallId, data: unknown): void {
    this.encoder.writeNumber(TYPE.response, id as number, data, id);
  }

  /** Nothing more of this call is sent; the client does not want it. */
  cancelled(id: CallId): void {
    this.encoder.fragments?.drop(id);
  }

  failure(id: CallId, kind: FailureKind, error: unknown): void {
    writeFailure(this.encoder, id as number, kind, error);
  }

  push(route: string, data: unknown): void {
    this.pushWriter.write(route, data, () => undefined);
  }

  goaway(notice: GoawayNotice): void {
    this.encoder.writeJson(TYPE.goaway, notice);
  }

  protected override receiveMessage(frame: FrameReader): void {
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
        if (payload !== undefined) this.sink.request(id, route, payload.data, metadata, timeoutMs, isStreaming);
        return;
      }
      case TYPE.item:
        readItem(frame, this.sink);
        return;
      case TYPE.event: {
        const route = this.#readPattern(frame);
        const metadata = readMetadata(frame);
        const payload = frame.payloadOr((error) => {
          this.sink.malformed(error);
        });
        if (payload !== undefined) this.sink.event(route, payload.data, metadata);
        return;
      }
      case TYPE.cancel:
        this.sink.cancel(frame.uint32());
        return;
      default:
        this.receiveShared(frame);
    }
  }

  #readPattern(frame: FrameReader): string {
    const number = frame.uint16();
    if (frame.flags & FLAG.define) {
      const bytes = frame.uint16();
      if (number !== LITERAL_PATTERN && bytes > MAX_NUMBERED_PATTERN_BYTES)
        throw violation(`pattern number ${number} of more than ${MAX_NUMBERED_PATTERN_BYTES} bytes`);
      const route = frame.text(bytes);
      if (number === LITERAL_PATTERN) return route;
      if (number !== this.#patterns.length + 1 || number > MAX_PATTERNS)
        throw violation(`pattern number ${number} defined out of order`);
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
  if (!isMetadata(metadata)) throw violation('metadata that is not an object of strings');
  return metadata;
}
