import { isErrorCode, type PooledTcpErrorCode } from '../errors/codes.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { fromJson, isRecord } from './json.js';
import { FAILURES, type ClientSink, type FailureKind, type MessageWriter, type OutgoingMessage } from './messages.js';
import { HEARTBEAT_ID, HEARTBEAT_PATTERN, NO_MESSAGE_HANDLER, type NestJsonOptions } from './nest-json.js';
import { NestJsonProtocol, withoutCredit } from './nest-json-protocol.js';
import type { ClientProtocol } from './protocol.js';

/** Keys a reply of stock Nest can have; an object with others is a foreign payload, as in its deserializer. */
const REPLY_KEYS = new Set(['id', 'err', 'response', 'isDisposed', 'status']);

/** Client side of Nest's own wire format, as `ClientTCP` speaks it. */
export class NestJsonClientProtocol extends NestJsonProtocol implements ClientProtocol {
  readonly hasHeartbeat = true;
  readonly #sink: ClientSink;
  readonly #isShaped: boolean;

  constructor(writer: MessageWriter, sink: ClientSink, options: NestJsonOptions) {
    super(writer, options);
    this.#sink = sink;
    this.#isShaped = options.deserializer !== undefined;
  }

  request(id: number, message: OutgoingMessage): void {
    const { pattern, data, metadata } = message;
    if (message.isStreaming === true)
      throw new PooledTcpError(
        'PTCP_UNSUPPORTED',
        'a server on the stock Nest wire takes no stream as data of a request',
      );
    const packet = { pattern, data, ...(metadata === undefined ? undefined : { metadata }), id: String(id) };
    void this.#send(packet, (error, isLate) => {
      if (!isLate) throw error;
      this.#sink.unsent(id, error);
    });
  }

  event({ route, data, metadata }: OutgoingMessage): Promise<void> | undefined {
    // Stock Nest sends an event's pattern normalised, a request's as it was written.
    const packet = { pattern: route, data, ...(metadata === undefined ? undefined : { metadata }) };
    let failure: PooledTcpError | undefined;
    const later = this.#send(packet, (error, isLate) => {
      if (!isLate) throw error;
      failure = error;
    });
    return later?.then(() => {
      if (failure !== undefined) throw failure;
    });
  }

  item(): never {
    throw withoutCredit();
  }

  completed(): never {
    throw withoutCredit();
  }

  failure(): never {
    throw withoutCredit();
  }

  isHeld(): boolean {
    return false;
  }

  cancel(): void {
    // The stock wire has no cancel: the reply will come and find nobody.
  }

  ping(token: number): void {
    const packet = { pattern: HEARTBEAT_PATTERN, data: token, id: HEARTBEAT_ID + String(token) };
    // Serialized like any other: a peer that shapes its packets could not read this one.
    void this.#send(packet, () => {
      this.write(packet);
    });
  }

  pong(): void {
    // A stock peer never pings.
  }

  #send(packet: unknown, fail: (error: PooledTcpError, isLate: boolean) => void): Promise<void> | undefined {
    return this.outgoing.run(
      packet,
      (serialized) => {
        this.write(serialized);
      },
      fail,
    );
  }

  protected override receiveFrame(bytes: Buffer, start: number, end: number): void {
    let packet: unknown;
    try {
      packet = fromJson(bytes, start, end);
    } catch (error) {
      // The frame is whole, so the stream is in step: one reply is lost, the others are not.
      this.#sink.malformed(error as PooledTcpError);
      return;
    }
    this.#receivePacket(packet);
  }

  #receivePacket(packet: unknown): void {
    if (this.#takePong(packet)) return;
    void this.incoming.run(
      packet,
      (reply) => {
        this.#deliver(reply);
      },
      (error) => {
        const id = isRecord(packet) ? callId(packet['id']) : NaN;
        if (Number.isNaN(id)) this.#sink.malformed(error);
        else this.#sink.failure(id, 'malformed', error.message);
      },
    );
  }

  #takePong(packet: unknown): boolean {
    if (!isRecord(packet) || typeof packet['id'] !== 'string' || !packet['id'].startsWith(HEARTBEAT_ID)) return false;
    const { err } = packet;
    // A stock server has no handler for it; ours says so, too, unless it refuses the connection.
    if (isOwnError(err)) throw new PooledTcpError(err.code, err.message);
    this.#sink.pong(Number(packet['id'].slice(HEARTBEAT_ID.length)));
    return true;
  }

  #deliver(packet: unknown): void {
    if (!isRecord(packet)) return;
    // Once more: where packets are shaped, a pong shows only now.
    if (this.#isShaped && this.#takePong(packet)) return;
    const id = callId(packet['id']);
    const foreign = !this.#isShaped && Object.keys(packet).some((key) => !REPLY_KEYS.has(key));
    if (foreign) {
      this.#sink.response(id, packet);
      return;
    }
    const { err, response, isDisposed } = packet;
    if (err) this.#sink.failure(id, failureKind(err), err);
    else if (!isDisposed) this.#sink.item(id, response, 0);
    else if (response === undefined) this.#sink.end(id);
    else this.#sink.response(id, response);
  }
}

/** The number of a call; NaN where a peer sends anything else, which then finds no call. */
function callId(id: unknown): number {
  return typeof id === 'string' || typeof id === 'number' ? Number(id) : NaN;
}

/** Our server marks its own refusals with a code even on the stock wire; anything else is the handler's. */
function failureKind(error: unknown): FailureKind {
  if (error === NO_MESSAGE_HANDLER) return 'no-handler';
  if (!isOwnError(error)) return 'handler';
  return FAILURES.find(({ code }) => code === error.code)?.kind ?? 'handler';
}

/** Exactly what our server writes; a `PooledTcpError` that a handler passes on has more fields, and is the handler's. */
function isOwnError(error: unknown): error is { code: PooledTcpErrorCode; message: string } {
  return (
    isRecord(error) &&
    isErrorCode(error['code']) &&
    typeof error['message'] === 'string' &&
    Object.keys(error).every((key) => key === 'status' || key === 'code' || key === 'message')
  );
}
