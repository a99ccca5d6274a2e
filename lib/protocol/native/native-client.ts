import { Deferred } from '../../common/deferred.js';
import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import { isMetadata, type ClientSink, type MessageWriter, type Metadata, type OutgoingMessage } from '../messages.js';
import type { ClientProtocol } from '../protocol.js';
import { FLAG, LITERAL_PATTERN, MAX_NUMBERED_PATTERN_BYTES, MAX_PATTERNS, TYPE } from './format.js';
import type { FrameFields } from './frame-fields.js';
import type { FrameReader } from './native-decoder.js';
import { encodePattern } from './native-encoder.js';
import { NativeProtocol, type NativeOptions } from './native-protocol.js';
import { readItem, writeFailure } from './stream-messages.js';

export interface NativeClientOptions extends NativeOptions {
  /** Patterns the server remembers. */
  readonly maxPatterns: number;
}

/** Furthest deadline that its field can say, some 49 days away. */
const MAX_DEADLINE_MS = 0xffff_ffff;

/** Client side of the native protocol. */
export class NativeClientProtocol extends NativeProtocol<ClientSink> implements ClientProtocol {
  readonly #maxPatterns: number;
  /** Numbers given to patterns on this connection; the server learns each with its first use. */
  #patterns: Map<string, number> | undefined;

  constructor(writer: MessageWriter, sink: ClientSink, options: NativeClientOptions) {
    super(writer, sink, 'client', options);
    // Whatever the server offers: the field for the number has 16 bits, and ours remembers no more.
    this.#maxPatterns = Math.min(options.maxPatterns, MAX_PATTERNS);
  }

  request(id: number, message: OutgoingMessage, timeoutMs: number): void {
    const flags = (timeoutMs > 0 ? FLAG.deadline : 0) | (message.isStreaming === true ? FLAG.stream : 0);
    this.#write(TYPE.request, flags, message, id, timeoutMs);
  }

  event(message: OutgoingMessage): Promise<void> | undefined {
    const gone = new Deferred();
    const isHeld = this.#write(TYPE.event, 0, message, undefined, 0, () => {
      gone.resolve();
    });
    return isHeld ? gone.promise : undefined;
  }

  failure(id: number, error: unknown): void {
    writeFailure(this.encoder, id, 'handler', error);
  }

  cancel(id: number): void {
    this.encoder.fragments?.drop(id);
    this.encoder.writeNumber(TYPE.cancel, id);
  }

  isHeld(id: number): boolean {
    return this.encoder.fragments?.holds(id) === true;
  }

  /** @returns whether the message is kept back */
  #write(
    type: number,
    typeFlags: number,
    { route, data, metadata }: OutgoingMessage,
    id: number | undefined,
    timeoutMs: number,
    onGone?: () => void,
  ): boolean {
    const patterns = (this.#patterns ??= new Map<string, number>());
    const known = patterns.get(route);
    const spelled = known === undefined ? encodePattern(route) : undefined;
    const isRemembered =
      spelled !== undefined && spelled.length <= MAX_NUMBERED_PATTERN_BYTES && patterns.size < this.#maxPatterns;
    const number = known ?? (isRemembered ? patterns.size + 1 : LITERAL_PATTERN);
    const metadataJson = metadata === undefined ? undefined : encodeMetadata(metadata);
    const flags =
      typeFlags | (spelled === undefined ? 0 : FLAG.define) | (metadataJson === undefined ? 0 : FLAG.metadata);
    const fields = new RequestFields(id, number, spelled, flags & FLAG.deadline ? timeoutMs : undefined, metadataJson);
    this.encoder.write(type, flags, fields, data, id, onGone);
    // Only now is it on its way: a message that threw has taught the server nothing.
    if (spelled !== undefined && number !== LITERAL_PATTERN && !fields.isKeptBack) patterns.set(route, number);
    return fields.isKeptBack;
  }

  protected override receiveMessage(frame: FrameReader): void {
    switch (frame.type) {
      case TYPE.response:
        this.#receiveResponse(frame);
        return;
      case TYPE.item: {
        const broken = readItem(frame, this.sink);
        // The call has failed here, and nobody will give credit any more: the server must not wait for it.
        if (broken !== undefined) this.cancel(broken);
        return;
      }
      case TYPE.push: {
        const route = frame.text(frame.uint16());
        const payload = frame.payloadOr((error) => {
          this.sink.malformed(error);
        });
        if (payload !== undefined) this.sink.push(route, payload.data);
        return;
      }
      default:
        this.receiveShared(frame);
    }
  }

  #receiveResponse(frame: FrameReader): void {
    const id = frame.uint32();
    const payload = frame.payloadOr((error) => {
      this.sink.failure(id, 'malformed', error.message);
    });
    if (payload !== undefined) this.sink.response(id, payload.data);
  }
}

/** The fields of a request, or of an event, which has no id and no deadline. */
class RequestFields implements FrameFields {
  readonly #id: number | undefined;
  readonly #number: number;
  readonly #spelled: Buffer | undefined;
  readonly #timeoutMs: number | undefined;
  readonly #metadataJson: Buffer | undefined;
  /** Whether the message is kept back; known once it is written. */
  isKeptBack = false;

  /**
   * @param number of the pattern
   * @param spelled the pattern, where the server does not know its number yet
   */
  constructor(
    id: number | undefined,
    number: number,
    spelled: Buffer | undefined,
    timeoutMs: number | undefined,
    metadataJson: Buffer | undefined,
  ) {
    this.#id = id;
    this.#number = number;
    this.#spelled = spelled;
    this.#timeoutMs = timeoutMs;
    this.#metadataJson = metadataJson;
  }

  get bytes(): number {
    return 4 + 2 + 2 + (this.#spelled?.length ?? 0) + 4 + 4 + (this.#metadataJson?.length ?? 0);
  }

  write(slab: Buffer, start: number, isHeld: boolean): number {
    this.isKeptBack = isHeld;
    const spelled = this.#spelled;
    const timeoutMs = this.#timeoutMs;
    const metadataJson = this.#metadataJson;
    let at = this.#id === undefined ? start : slab.writeUInt32BE(this.#id, start);
    // One that others overtake teaches the server nothing: they would use a number that it does not know yet.
    at = slab.writeUInt16BE(isHeld && spelled !== undefined ? LITERAL_PATTERN : this.#number, at);
    if (spelled !== undefined) at = slab.writeUInt16BE(spelled.length, at) + spelled.copy(slab, at + 2);
    if (timeoutMs !== undefined) at = slab.writeUInt32BE(Math.min(Math.ceil(timeoutMs), MAX_DEADLINE_MS), at);
    if (metadataJson !== undefined) at = slab.writeUInt32BE(metadataJson.length, at) + metadataJson.copy(slab, at + 4);
    return at;
  }
}

/** Checked before it is sent: the server would close the connection over it, and with it fail every other call. */
function encodeMetadata(metadata: Metadata): Buffer {
  if (isMetadata(metadata)) return Buffer.from(JSON.stringify(metadata), 'utf8');
  throw new PooledTcpError('PTCP_PAYLOAD_UNSERIALIZABLE', 'metadata must be an object whose values are strings');
}
