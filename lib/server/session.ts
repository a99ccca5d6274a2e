import type { Clock, Timer } from '../common/clock.js';
import { Alarm } from '../common/alarm.js';
import { wasFrozen } from '../common/frozen.js';
import type { DiagnosticLogger } from '../common/logger.js';
import { Connection, type ConnectionOwner } from '../connection/connection.js';
import { OutgoingStream } from '../connection/outgoing-stream.js';
import { ConnectionStreamWriter } from '../connection/stream-writer.js';
import type { Transport } from '../connection/transport.js';
import type { PooledTcpErrorCode } from '../errors/codes.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import { chooseCodec } from '../protocol/codecs.js';
import { PROTOCOL_VERSION, writeRefusal, writeWelcome, type Hello } from '../protocol/hello.js';
import type { CallId, FailureKind, GoawayNotice, Metadata, ServerSink } from '../protocol/messages.js';
import { NestJsonServerProtocol } from '../protocol/nest-json-server.js';
import { MAX_PATTERNS } from '../protocol/native/format.js';
import { NativeServerProtocol } from '../protocol/native/native-server.js';
import type { ProtocolName, ServerProtocol } from '../protocol/protocol.js';
import { ServerCall, type CallReplies } from './server-call.js';
import type { ServerSettings } from './settings.js';

/** Where requests go. Must not throw. */
export interface Dispatcher {
  request(call: ServerCall): void;
  event(session: Session, pattern: unknown, data: unknown, metadata: Metadata | undefined): void;
}

/** What a session needs of its server. */
export interface SessionHost {
  readonly settings: ServerSettings;
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  readonly dispatcher: Dispatcher;
  /** From 0 to 1, for what must not happen to all connections at once. */
  readonly random: () => number;
  /** Takes one of the server's slots for calls; false when none is left. */
  admitCall(): boolean;
  callEnded(): void;
  closed(session: Session): void;
}

/** What the client is told of an answer that could not be written. */
const UNWRITABLE: Partial<Record<PooledTcpErrorCode, FailureKind>> = {
  PTCP_FRAME_TOO_LARGE: 'too-large',
  PTCP_WRITE_OVERFLOW: 'overflow',
};

/** How long a peer that is told why it is closed has to read it. */
const FAREWELL_MS = 1_000;

/** The server's side of one connection: its protocol, its calls, and whatever handlers keep for it. */
export class Session implements ConnectionOwner, ServerSink, CallReplies {
  /** Free for handlers: state that lives as long as the connection. */
  readonly data = new Map<unknown, unknown>();
  readonly transport: Transport;
  readonly #host: SessionHost;
  readonly #connection: Connection;
  readonly #calls = new Map<CallId, ServerCall>();
  /** Rings when the first of the deadlines has passed that callers gave. */
  readonly #deadlines: Alarm;
  readonly #streamWriter: ConnectionStreamWriter;
  /** What the client lets each stream send before it grants more. */
  #peerStreamWindowBytes = 0;
  #protocol: ServerProtocol;
  #upgrade: NativeServerProtocol | undefined;
  /** Why this session is refused, where it is. */
  readonly #refusal: PooledTcpError | undefined;
  #drainReason = 'the connection is closing';
  #farewell: Timer | undefined;
  #idleTimer: Timer | undefined;
  #ageTimer: Timer | undefined;

  constructor(transport: Transport, host: SessionHost, refusal?: PooledTcpError) {
    const { settings, clock } = host;
    this.transport = transport;
    this.#host = host;
    this.#refusal = refusal;
    this.#connection = new Connection({ ...settings, transport, clock }, this);
    this.#deadlines = new Alarm(clock, () => {
      this.#expire();
    });
    this.#streamWriter = new ConnectionStreamWriter(this.#connection, () => this.#protocol);
    this.#protocol = new NestJsonServerProtocol(this.#connection, this, {
      ...settings,
      onHello: settings.protocol === 'nest-json' ? undefined : (hello, id) => this.#onHello(hello, id),
      refusal: () => this.#refusal ?? (this.#isMismatch ? this.#mismatch() : undefined),
    });
  }

  /** Begins to receive. */
  start(): void {
    const { firstFrameTimeoutMs } = this.#host.settings;
    if (firstFrameTimeoutMs > 0) {
      this.#idleTimer = this.#host.clock.setTimeout(() => {
        this.#connection.destroy(
          this.#error('PTCP_HANDSHAKE_FAILED', `sent no frame within ${firstFrameTimeoutMs} ms`),
        );
      }, firstFrameTimeoutMs);
    }
    this.#connection.start();
  }

  /** Address of the client. */
  get peer(): string {
    return this.#connection.peer;
  }

  get protocol(): ProtocolName {
    return this.#protocol.name;
  }

  /** Calls in flight. */
  get inFlight(): number {
    return this.#calls.size;
  }

  /**
   * Sends a message that answers no request.
   *
   * @throws PooledTcpError `PTCP_UNSUPPORTED` on the stock wire, `PTCP_CONNECTION_LOST`,
   * `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`
   */
  push(route: string, data: unknown): void {
    if (this.#connection.state === 'closed') throw this.#error('PTCP_CONNECTION_LOST', 'is not connected any more');
    this.#protocol.push(route, data);
  }

  /** Takes no new calls; closes once those in flight have been answered and a native client has let go. */
  drain(reason = 'the server is shutting down'): void {
    if (this.#connection.state === 'opening') {
      this.#connection.destroy(this.#error('PTCP_POOL_CLOSED', 'was not open yet when the server closed'));
      return;
    }
    if (!this.#connection.drain()) return;
    this.#drainReason = reason;
    this.#protocol.goaway({ message: reason });
    this.#endIfDrained();
  }

  /** Closes at once; calls in flight are cancelled. */
  destroy(reason: PooledTcpError): void {
    this.#connection.destroy(reason);
  }

  // What the connection tells its owner.

  receive(chunk: Buffer): void {
    if (this.#farewell !== undefined) return;
    try {
      this.#protocol.receive(chunk);
      if (this.#upgrade !== undefined) this.#switchToNative(this.#upgrade);
    } catch (error) {
      if (!(error instanceof PooledTcpError)) throw error;
      this.#refuse(error);
      return;
    }
    // Any frame counts, also a heartbeat, of which no sink hears, and one that waits for an async deserializer.
    if (
      this.#connection.state === 'opening' &&
      this.#protocol instanceof NestJsonServerProtocol &&
      this.#protocol.hasFrame
    )
      this.#becomeReady();
  }

  ended(): void {
    if (this.#farewell === undefined) this.#protocol.end();
  }

  sendPing(token: number): void {
    this.#protocol.ping(token);
  }

  closed(reason: PooledTcpError): void {
    const { clock, logger } = this.#host;
    if (this.#farewell !== undefined) clock.clearTimeout(this.#farewell);
    if (this.#idleTimer !== undefined) clock.clearTimeout(this.#idleTimer);
    if (this.#ageTimer !== undefined) clock.clearTimeout(this.#ageTimer);
    this.#deadlines.clear();
    this.#protocol.closed();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) {
      this.#host.callEnded();
      call.cancel(reason);
    }
    if (reason.code !== 'PTCP_CONNECTION_LOST' || calls.length > 0) {
      logger.debug?.(
        `session of ${this.peer} closed with ${calls.length} calls in flight: ${reason.message} (${reason.code})`,
      );
    }
    this.#host.closed(this);
  }

  // What the client says.

  request(
    id: CallId,
    pattern: unknown,
    data: unknown,
    metadata: Metadata | undefined,
    timeoutMs: number | undefined,
    isStreaming: boolean,
  ): void {
    const { settings, dispatcher, clock } = this.#host;
    if (this.#refusal !== undefined) throw this.#refusal;
    if (this.#isMismatch) throw this.#mismatch();
    if (this.#calls.has(id)) throw this.#error('PTCP_PROTOCOL_VIOLATION', `uses the call id ${String(id)} twice`);
    // Once our side has ended, no answer can leave any more: what arrives then must not reach a handler either.
    if (this.#connection.state === 'draining' || this.#connection.state === 'ending') {
      this.#protocol.failure(id, 'overloaded', this.#drainReason);
      return;
    }
    if (this.#calls.size >= settings.maxInFlightPerConnection) {
      this.#protocol.failure(
        id,
        'overloaded',
        `the connection has ${this.#calls.size} calls in flight, as many as maxInFlightPerConnection allows`,
      );
      return;
    }
    // Counted from when its bytes were read: many calls may have been before it in the same read.
    const expiresAt = timeoutMs === undefined ? undefined : this.#connection.heartbeat.lastReadAt + timeoutMs;
    if (expiresAt !== undefined && clock.now() >= expiresAt) {
      this.#protocol.failure(id, 'deadline', `the deadline of ${timeoutMs} ms passed before its turn came`);
      return;
    }
    if (!this.#host.admitCall()) {
      this.#protocol.failure(
        id,
        'overloaded',
        `the server has ${settings.maxInFlight} calls in flight, as many as maxInFlight allows`,
      );
      return;
    }
    const streamWindowBytes = isStreaming ? settings.streamWindowBytes : undefined;
    const call = new ServerCall(this, this, { id, pattern, data, metadata, expiresAt, streamWindowBytes });
    this.#calls.set(id, call);
    if (expiresAt !== undefined) this.#deadlines.setAt(expiresAt);
    dispatcher.request(call);
  }

  event(pattern: unknown, data: unknown, metadata: Metadata | undefined): void {
    if (this.#refusal !== undefined) throw this.#refusal;
    if (this.#isMismatch) throw this.#mismatch();
    this.#host.dispatcher.event(this, pattern, data, metadata);
  }

  cancel(id: CallId): void {
    // Also of a call that has been answered: a part of the answer may be kept back.
    this.#protocol.cancelled(id);
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#forget(call);
    call.cancel(new PooledTcpError('PTCP_ABORTED', `${this.peer} cancelled the call`, { peer: this.peer }));
    this.#endIfDrained();
  }

  item(id: CallId, data: unknown, bytes: number): void {
    // Of a call that is over: the client had sent it before it knew.
    this.#calls.get(id)?.received(data, bytes);
  }

  end(id: CallId): void {
    this.#calls.get(id)?.incoming?.end();
  }

  failure(id: CallId, kind: FailureKind, error: unknown): void {
    const code = kind === 'malformed' ? 'PTCP_PAYLOAD_MALFORMED' : 'PTCP_SOURCE_FAILED';
    this.#calls.get(id)?.incoming?.fail(
      new PooledTcpError(code, `what ${this.peer} streamed has failed: ${describeCause(error)}`, {
        peer: this.peer,
        cause: error,
      }),
    );
  }

  credit(id: CallId, bytes: number): void {
    this.#calls.get(id)?.credited(bytes);
  }

  ping(token: number): void {
    this.#protocol.pong(token);
  }

  pong(token: number): void {
    this.#connection.heartbeat.onPong(token);
  }

  goaway(): void {
    // The client lets go of the connection itself once its calls have been answered.
  }

  malformed(error: PooledTcpError): void {
    this.#host.logger.warn(`dropped a message from ${this.peer}: ${error.message} (${error.code})`);
  }

  // What calls answer.

  openStream(call: ServerCall): OutgoingStream {
    return new OutgoingStream(call.id, this.#streamWriter, this.#peerStreamWindowBytes);
  }

  sendItem(call: ServerCall, stream: OutgoingStream, data: unknown): void {
    this.#reply(call, () => {
      stream.item(data);
    });
  }

  sendResponse(call: ServerCall, data: unknown): void {
    this.#forget(call);
    if (this.#connection.state === 'closed') return;
    // Without the closure of the others: nearly every answer is one of these.
    try {
      this.#protocol.response(call.id, data);
    } catch (error) {
      this.#unwritable(call, error as PooledTcpError);
    }
    this.#endIfDrained();
  }

  sendCompleted(call: ServerCall): void {
    this.#forget(call);
    this.#reply(call, () => {
      this.#protocol.completed(call.id);
    });
    this.#endIfDrained();
  }

  sendFailure(call: ServerCall, kind: FailureKind, error: unknown): void {
    this.#forget(call);
    this.#reply(call, () => {
      this.#protocol.failure(call.id, kind, error);
    });
    this.#endIfDrained();
  }

  grant(call: ServerCall, bytes: number): void {
    if (this.#connection.state !== 'closed') this.#protocol.credit(call.id, bytes);
  }

  epochOf(time: number): number {
    return Date.now() + time - this.#host.clock.now();
  }

  /** Stops the calls whose callers have given up by now: they know it themselves, and are sent nothing. */
  #expire(): void {
    const now = this.#host.clock.now();
    for (const call of [...this.#calls.values()]) {
      const { expiresAt } = call;
      if (expiresAt === undefined || call.isStreaming) continue;
      if (expiresAt > now) {
        this.#deadlines.setAt(expiresAt);
        continue;
      }
      this.#forget(call);
      call.cancel(
        new PooledTcpError('PTCP_DEADLINE_EXCEEDED', `the deadline that ${this.peer} gave has passed`, {
          peer: this.peer,
        }),
      );
    }
    this.#endIfDrained();
  }

  /** Writes an answer; one that cannot be written becomes a failure of this call, and of nothing else. */
  #reply(call: ServerCall, write: () => void): void {
    if (this.#connection.state === 'closed') return;
    try {
      write();
    } catch (error) {
      this.#unwritable(call, error as PooledTcpError);
    }
  }

  #unwritable(call: ServerCall, error: PooledTcpError): void {
    const { code, message } = error;
    this.#host.logger.error(`the answer to '${String(call.pattern)}' could not be sent: ${message} (${code})`);
    this.#forget(call);
    this.#protocol.cancelled(call.id);
    call.cancel(error);
    this.#replyUnwritable(call, UNWRITABLE[code] ?? 'unserializable', message);
    this.#endIfDrained();
  }

  #replyUnwritable(call: ServerCall, kind: FailureKind, message: string): void {
    try {
      this.#protocol.failure(call.id, kind, message);
    } catch (error) {
      // Not even that can be said (a serializer that always throws): silence would leave the caller waiting.
      this.#connection.destroy(error as PooledTcpError);
    }
  }

  #forget(call: ServerCall): void {
    if (this.#calls.delete(call.id)) this.#host.callEnded();
  }

  #endIfDrained(): void {
    if (this.#connection.state !== 'draining' || this.#calls.size > 0) return;
    // A native client has been told and closes by itself, so that no request of its can be cut off. A stock
    // client knows no goaway: the end of the stream is all that it understands.
    if (this.#protocol.name === 'nest-json') this.#connection.end();
  }

  /** Takes the hello of one of our clients; false leaves the connection on the stock wire. */
  #onHello(hello: Hello, id: unknown): boolean {
    if (this.#refusal !== undefined) {
      writeRefusal(this.#connection.output, id, this.#refusal);
      this.#sayFarewell(this.#refusal);
      return true;
    }
    if (!hello.versions.includes(PROTOCOL_VERSION)) return false;
    const { maxFrameBytes, idleTimeoutMs, streamWindowBytes } = this.#host.settings;
    this.#peerStreamWindowBytes = hello.streamWindowBytes;
    const codec = chooseCodec(this.#host.settings.codec, hello.codecs);
    writeWelcome(this.#connection.output, id, {
      version: PROTOCOL_VERSION,
      maxFrameBytes,
      streamWindowBytes,
      idleTimeoutMs,
      maxPatterns: MAX_PATTERNS,
      codec: hello.codecs === undefined ? undefined : codec.name,
    });
    this.#connection.schedule();
    this.#upgrade = new NativeServerProtocol(this.#connection, this, {
      clock: this.#host.clock,
      maxFrameBytes,
      peerMaxFrameBytes: Math.min(maxFrameBytes, hello.maxFrameBytes),
      codec,
    });
    return true;
  }

  #switchToNative(native: NativeServerProtocol): void {
    const rest = this.#protocol instanceof NestJsonServerProtocol ? this.#protocol.takeRest() : Buffer.alloc(0);
    this.#upgrade = undefined;
    this.#protocol = native;
    this.#becomeReady();
    if (rest.length > 0) native.receive(rest);
  }

  #becomeReady(): void {
    const refusal = this.#refusal ?? (this.#isMismatch ? this.#mismatch() : undefined);
    if (refusal !== undefined) {
      this.#refuse(refusal);
      return;
    }
    if (!this.#connection.ready(this.#protocol.name === 'native')) return;
    if (this.#idleTimer !== undefined) this.#host.clock.clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    const { idleTimeoutMs, maxConnectionAgeMs } = this.#host.settings;
    if (idleTimeoutMs > 0) this.#watchIdle(idleTimeoutMs);
    if (maxConnectionAgeMs > 0) this.#watchAge(maxConnectionAgeMs);
  }

  /** Without the random part, connections that were opened together would all come back together. */
  #watchAge(maxAgeMs: number): void {
    const { clock, random } = this.#host;
    this.#ageTimer = clock.setTimeout(
      () => {
        this.drain(`the connection has reached maxConnectionAgeMs (${maxAgeMs})`);
      },
      Math.ceil(maxAgeMs * (1 - 0.1 * random())),
    );
  }

  /** A stock client at a server that takes `native()` only: none of its messages may reach a handler. */
  get #isMismatch(): boolean {
    return this.#protocol.name !== 'native' && this.#host.settings.protocol === 'native';
  }

  #mismatch(): PooledTcpError {
    return this.#error('PTCP_PROTOCOL_MISMATCH', 'speaks the stock Nest wire and this server takes native() only');
  }

  /** One timer a session, moved only when it fires: traffic costs a time stamp and no more. */
  #watchIdle(delayMs: number): void {
    const { clock, settings } = this.#host;
    const dueAt = clock.now() + delayMs;
    this.#idleTimer = clock.setTimeout(() => {
      const { idleTimeoutMs } = settings;
      const idleMs = clock.now() - this.#connection.heartbeat.lastReadAt;
      if (this.#calls.size > 0 || wasFrozen(clock.now() - dueAt, delayMs)) this.#watchIdle(idleTimeoutMs);
      else if (idleMs < idleTimeoutMs) this.#watchIdle(idleTimeoutMs - idleMs);
      else this.#closeIdle(idleMs);
    }, delayMs);
  }

  #closeIdle(idleMs: number): void {
    this.#protocol.goaway({ message: `the connection was silent for ${Math.round(idleMs)} ms` });
    this.#sayFarewell(this.#error('PTCP_CONNECTION_LOST', `was silent for ${Math.round(idleMs)} ms`));
  }

  /** Tells the client why, then closes. */
  #refuse(error: PooledTcpError): void {
    const notice: GoawayNotice = { code: error.code, message: error.message };
    this.#host.logger.warn(`closing the connection of ${this.peer}: ${error.message} (${error.code})`);
    this.#protocol.goaway(notice);
    this.#sayFarewell(error);
  }

  #sayFarewell(reason: PooledTcpError): void {
    this.#farewell = this.#host.clock.setTimeout(() => {
      this.#connection.destroy(reason);
    }, FAREWELL_MS);
    this.#connection.end();
  }

  #error(code: PooledTcpError['code'], what: string): PooledTcpError {
    return new PooledTcpError(code, `${this.peer} ${what}`, { peer: this.peer });
  }
}
