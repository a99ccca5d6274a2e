import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { parseHello, type Hello } from './hello.js';
import { fromJson, isRecord } from './json.js';
import {
  failureOf,
  isMetadata,
  type CallId,
  type FailureKind,
  type GoawayNotice,
  type MessageWriter,
  type ServerSink,
} from './messages.js';
import { HEARTBEAT_PATTERN, NO_MESSAGE_HANDLER, type NestJsonOptions } from './nest-json.js';
import { NestJsonProtocol } from './nest-json-protocol.js';
import type { ServerProtocol } from './protocol.js';

export interface NestJsonServerOptions extends NestJsonOptions {
  /**
   * Called when the first frame is our client's hello. Returns whether the connection goes on in the native
   * protocol: this decoder then stops, and the bytes behind the hello wait in {@link NestJsonServerProtocol.takeRest}.
   */
  readonly onHello?: ((hello: Hello, id: unknown) => boolean) | undefined;
  /** Why this client is refused, where it is: whatever it asks first is answered with that, a heartbeat, too. */
  readonly refusal?: (() => PooledTcpError | undefined) | undefined;
}

/** Server side of Nest's own wire format, as `ServerTCP` speaks it. */
export class NestJsonServerProtocol extends NestJsonProtocol implements ServerProtocol {
  /** A stock client answers nothing. */
  readonly hasHeartbeat = false;
  readonly #sink: ServerSink;
  readonly #options: NestJsonServerOptions;
  #isFirst = true;
  #hasFrame = false;

  constructor(writer: MessageWriter, sink: ServerSink, options: NestJsonServerOptions) {
    super(writer, options);
    this.#sink = sink;
    this.#options = options;
  }

  /** Whether a frame has arrived, readable or not; heartbeats are answered here and reach no sink. */
  get hasFrame(): boolean {
    return this.#hasFrame;
  }

  /** The bytes behind an accepted hello: the native protocol's first. */
  takeRest(): Buffer {
    return this.decoder.takeRest();
  }

  response(id: CallId, data: unknown): void {
    this.#reply(id, { response: data, isDisposed: true, id });
  }

  item(id: CallId, data: unknown): number {
    this.#reply(id, { response: data, id });
    return 0;
  }

  cancelled(): void {
    // The stock wire has no cancel.
  }

  completed(id: CallId): void {
    this.#reply(id, { isDisposed: true, id });
  }

  failure(id: CallId, kind: FailureKind, error: unknown): void {
    if (kind === 'handler') this.#reply(id, { err: error, isDisposed: true, id });
    else if (kind === 'no-handler') this.#reply(id, { id, status: 'error', err: NO_MESSAGE_HANDLER });
    else {
      const { code } = failureOf(kind);
      this.#reply(id, { err: { status: 'error', code, message: String(error) }, isDisposed: true, id });
    }
  }

  push(): void {
    throw new PooledTcpError('PTCP_UNSUPPORTED', 'a client on the stock Nest wire cannot be pushed to');
  }

  goaway({ code, message }: GoawayNotice): void {
    // The stock wire has no goaway. A peer that broke the format is told why; a client routes replies by id, and
    // this has none, so a stock client drops it.
    if (code !== undefined) this.write({ err: { status: 'error', code, message }, isDisposed: true });
  }

  ping(): void {
    // A stock client answers nothing: it is watched by the kernel's keep-alive and the idle timeout.
  }

  pong(): void {
    // Heartbeats on the stock wire are answered as any unknown pattern.
  }

  protected override receiveFrame(bytes: Buffer, start: number, end: number): void {
    this.#hasFrame = true;
    let packet: unknown;
    try {
      packet = fromJson(bytes, start, end) ?? {};
    } catch (error) {
      // The frame is whole, so the stream is still in step: only this message is lost.
      const { code, message } = error as PooledTcpError;
      this.#sink.malformed(error as PooledTcpError);
      this.goaway({ code, message });
      return;
    }
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst && this.#options.onHello !== undefined) {
      const hello = parseHello(packet);
      if (hello !== undefined && this.#options.onHello(hello, (packet as Record<string, unknown>)['id'])) {
        this.decoder.stop();
        return;
      }
    }
    const id = isRecord(packet) ? (packet['id'] as CallId | undefined) : undefined;
    const refusal = this.#options.refusal?.();
    if (refusal !== undefined) {
      const { code, message } = refusal;
      if (id !== undefined) this.write({ err: { status: 'error', code, message }, isDisposed: true, id });
      throw refusal;
    }
    if (isRecord(packet) && packet['pattern'] === HEARTBEAT_PATTERN && id !== undefined) {
      // Answered here, as a stock server answers it, so that it neither counts as a call nor is logged.
      this.failure(id, 'no-handler', undefined);
      return;
    }
    void this.incoming.run(
      packet,
      (request) => {
        this.#deliver(request);
      },
      (error) => {
        if (id === undefined) this.#sink.malformed(error);
        else this.failure(id, 'malformed', error.message);
      },
    );
  }

  #deliver(packet: unknown): void {
    const { id, pattern, data, metadata } = isRecord(packet) ? packet : ({} as Record<string, unknown>);
    const strings = isMetadata(metadata) ? metadata : undefined;
    // Once more: where packets are shaped, a heartbeat shows only now.
    if (pattern === HEARTBEAT_PATTERN && id !== undefined) {
      this.failure(id as CallId, 'no-handler', undefined);
      return;
    }
    if (id === undefined) this.#sink.event(pattern, data, strings);
    else this.#sink.request(id as CallId, pattern, data, strings, undefined, false);
  }

  #reply(id: CallId, packet: Record<string, unknown>): void {
    void this.outgoing.run(
      packet,
      (serialized) => {
        this.write(serialized);
      },
      (error, isLate) => {
        if (!isLate) throw error;
        this.write({ err: { status: 'error', code: error.code, message: error.message }, isDisposed: true, id });
      },
    );
  }
}
