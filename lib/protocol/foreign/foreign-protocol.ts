import { PooledTcpError, describeCause } from '../../errors/pooled-tcp-error.js';
import { frameTooLarge } from '../../framing/length-field.js';
import type { FrameDecoder, Framing } from '../../framing/framing.js';
import { isRecord } from '../json.js';
import type { MessageWriter } from '../messages.js';
import { violation } from '../protocol.js';
import type { DecodedMessage, ForeignMessage, MessageCodec } from './message-codec.js';

export interface ForeignOptions {
  readonly framing: Framing;
  readonly codec: MessageCodec;
  /** Largest payload of a frame, either way, in bytes; the framing may have a limit of its own. */
  readonly maxFrameBytes: number;
  /** What breaks the connection outside of `receive()`. */
  readonly failed: (error: PooledTcpError) => void;
}

/** As much of a frame as an error quotes. */
const SHOWN_BYTES = 32;

/** What both ends of a foreign protocol do alike: frames and messages in and out, and a codec that may throw. */
export abstract class ForeignProtocol {
  readonly name = 'foreign';
  readonly hasCredit = false;
  readonly hasHeartbeat: boolean;
  protected readonly codec: MessageCodec;
  readonly #writer: MessageWriter;
  readonly #framing: Framing;
  readonly #maxFrameBytes: number;
  readonly #decoder: FrameDecoder;
  readonly #failed: (error: PooledTcpError) => void;
  #isClosed = false;
  #hasFrame = false;
  /** Of a frame that is not whole yet, where the decoder does not say: bytes since the last whole one, at least. */
  #countedBytes = 0;
  /** The peer's last heartbeat question. */
  #question: DecodedMessage | undefined;
  #questions = 0;

  constructor(writer: MessageWriter, { framing, codec, maxFrameBytes, failed }: ForeignOptions) {
    this.codec = codec;
    this.hasHeartbeat = codec.heartbeat !== undefined;
    this.#writer = writer;
    this.#framing = framing;
    this.#maxFrameBytes = maxFrameBytes;
    this.#failed = failed;
    this.#decoder = framing.createDecoder((frame) => {
      this.#countedBytes = 0;
      this.#receiveFrame(frame);
    });
  }

  /** Whether a frame has arrived. */
  get hasFrame(): boolean {
    return this.#hasFrame;
  }

  get partialBytes(): number {
    return this.#decoder.partialBytes ?? this.#countedBytes;
  }

  receive(chunk: Buffer): void {
    const before = this.#countedBytes;
    this.#countedBytes = before + chunk.length;
    // A framing may keep what it is given; the connection reads into the same place again.
    this.#decoder.push(Buffer.from(chunk));
    // A framing has a limit of its own, which may be a higher one.
    if (this.partialBytes > this.#maxFrameBytes + HEADER_ALLOWANCE)
      throw frameTooLarge(this.partialBytes, this.#maxFrameBytes);
  }

  end(): void {
    this.#decoder.end?.();
  }

  /** The request that a reply without an id would answer. */
  protected get awaited(): ForeignMessage | undefined {
    return undefined;
  }

  pong(): void {
    const question = this.#question;
    if (question === undefined) return;
    const answer = this.codec.heartbeat?.answer?.bind(this.codec.heartbeat);
    if (answer === undefined) return;
    this.guard(() => {
      this.writePayload(this.#encoded('heartbeat.answer', () => answer(question)));
    });
  }

  encodeItem(): never {
    throw withoutStreams();
  }

  writeEncoded(): never {
    throw withoutStreams();
  }

  credit(): never {
    throw withoutStreams();
  }

  flush(): void {
    // What is kept back waits for the peer's reply, not for room.
  }

  closed(): void {
    this.#isClosed = true;
  }

  protected abstract receiveMessage(message: DecodedMessage): void;
  protected abstract heartbeatAsked(token: number): void;
  protected abstract heartbeatAnswered(): void;

  /** @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, and what the framing throws */
  protected encode(message: ForeignMessage): Buffer {
    return this.#encoded('encode', () => this.codec.encode(message));
  }

  /** The heartbeat's question. */
  protected encodeQuestion(id: number): Buffer {
    return this.#encoded('heartbeat.ask', () => this.codec.heartbeat?.ask(id));
  }

  protected encodeGoaway(id: number, notice: { readonly code?: string | undefined; readonly message: string }): void {
    const { codec } = this;
    if (codec.goaway === undefined) return;
    this.guard(() => {
      const payload = this.#encoded('goaway', () => codec.goaway?.(notice, id) ?? NOTHING);
      if (payload !== NOTHING) this.writePayload(payload);
    });
  }

  /** For what a timer or a promise brings about: nobody above would take the error, and the peer waits in vain. */
  protected guard(write: () => void): void {
    if (this.#isClosed) return;
    try {
      write();
    } catch (error) {
      this.#failed(error as PooledTcpError);
    }
  }

  /** Puts the payload into a frame. @throws PooledTcpError when it does not fit into one */
  protected frame(payload: Buffer): Buffer[] {
    if (payload.length > this.#maxFrameBytes) throw frameTooLarge(payload.length, this.#maxFrameBytes);
    try {
      return this.#framing.encode(payload);
    } catch (error) {
      throw ours('framing.encode', 'PTCP_FRAME_MALFORMED', error);
    }
  }

  protected write(parts: readonly Buffer[]): void {
    for (const part of parts) this.#writer.output.append(part);
    this.#writer.schedule();
  }

  protected hold(bytes: number): void {
    this.#writer.hold(bytes);
  }

  protected writePayload(payload: Buffer): void {
    this.write(this.frame(payload));
  }

  /** Writes the answer to a message of the peer. */
  protected answer(request: DecodedMessage, pattern: unknown, data: unknown): void {
    this.writePayload(this.encode(answering(request, { kind: 'reply', id: request.id, pattern, data })));
  }

  protected answerError(request: DecodedMessage, pattern: unknown, error: unknown): void {
    this.writePayload(this.encode(answering(request, { kind: 'error', id: request.id, pattern, error })));
  }

  #receiveFrame(frame: Buffer): void {
    // The frames behind the one that ended the connection.
    if (this.#isClosed) return;
    this.#hasFrame = true;
    if (frame.length > this.#maxFrameBytes) throw frameTooLarge(frame.length, this.#maxFrameBytes);
    const message = this.#decode(frame);
    try {
      this.#dispatch(message);
    } catch (error) {
      if (!(error instanceof PooledTcpError) || error.code !== 'PTCP_PROTOCOL_VIOLATION') throw error;
      throw new PooledTcpError(error.code, `${error.message}${shown(frame)}`, { cause: error.cause });
    }
  }

  #dispatch(message: DecodedMessage): void {
    if (message.heartbeat === 'ask') {
      this.#question = message;
      this.heartbeatAsked((this.#questions = (this.#questions + 1) >>> 0));
    } else if (message.heartbeat === 'answer') this.heartbeatAnswered();
    else this.receiveMessage(message);
  }

  #decode(frame: Buffer): DecodedMessage {
    let message: unknown;
    try {
      message = this.codec.decode(frame, this.awaited);
    } catch (error) {
      const { code, message: text } = ours('decode', 'PTCP_PROTOCOL_VIOLATION', error);
      throw new PooledTcpError(code, `${text}${shown(frame)}`, { cause: error });
    }
    const defect = defectOf(message);
    if (defect !== undefined) throw violation(`codec.decode() returned ${defect}${shown(frame)}`);
    // JSON writes null where there is none.
    return isRecord(message) && message['id'] === null ? { ...message, id: undefined } : (message as DecodedMessage);
  }

  #encoded(what: string, encode: () => unknown): Buffer {
    let payload: unknown;
    try {
      payload = encode();
    } catch (error) {
      throw ours(what, 'PTCP_PAYLOAD_UNSERIALIZABLE', error);
    }
    if (Buffer.isBuffer(payload)) return payload;
    if (payload instanceof Uint8Array) return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    throw new PooledTcpError(
      'PTCP_PAYLOAD_UNSERIALIZABLE',
      `codec.${what}() must return a Buffer, and returned ${nameOf(payload)}`,
    );
  }
}

/** Headers that a framing leaves out count as bytes of an unfinished frame, and not as payload. */
const HEADER_ALLOWANCE = 1024;
const NOTHING = Buffer.alloc(0);

/** The request stays out of what a codec sees when it goes through the fields: it is the peer's message, and not ours. */
function answering(request: DecodedMessage, message: ForeignMessage): ForeignMessage {
  return Object.defineProperty(message, 'request', { value: request, enumerable: false });
}

/** What the codec threw, as an error of ours; one that is keeps its code. */
function ours(what: string, code: PooledTcpError['code'], error: unknown): PooledTcpError {
  const own = error instanceof PooledTcpError ? error.code : code;
  const who = what.startsWith('framing') ? what : `codec.${what}`;
  return new PooledTcpError(own, `${who}() threw: ${describeCause(error)}`, { cause: error });
}

/** What is wrong with what `decode` returned, if anything. */
function defectOf(message: unknown): string | undefined {
  if (!isRecord(message)) return nameOf(message);
  if (message instanceof Promise) return 'a promise; it must be synchronous';
  const { id, push, heartbeat, goaway } = message;
  if (id !== undefined && id !== null && !['number', 'string', 'bigint'].includes(typeof id))
    return `an id that is ${nameOf(id)}`;
  if (heartbeat !== undefined && heartbeat !== 'ask' && heartbeat !== 'answer')
    return `a heartbeat that is neither 'ask' nor 'answer'`;
  if (push !== undefined && typeof push !== 'string' && typeof push !== 'boolean')
    return `a push that is ${nameOf(push)}, and neither a route nor true`;
  if (goaway !== undefined && typeof goaway !== 'string' && typeof goaway !== 'boolean')
    return `a goaway that is ${nameOf(goaway)}, and neither a text nor true`;
  return undefined;
}

function nameOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  return Array.isArray(value) ? 'an array' : `of type ${typeof value}`;
}

function shown(frame: Buffer): string {
  const rest = frame.length > SHOWN_BYTES ? `… (${frame.length} bytes)` : '';
  return `; the frame is ${frame.toString('hex', 0, SHOWN_BYTES)}${rest}`;
}

/** A foreign protocol has one answer for a request. */
export function withoutStreams(): PooledTcpError {
  return new PooledTcpError('PTCP_UNSUPPORTED', 'a foreign protocol has no streams: one request, one answer');
}
