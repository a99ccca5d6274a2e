import type { Clock } from '../common/clock.js';
import { Alarm } from '../common/alarm.js';
import type { DiagnosticLogger } from '../common/logger.js';
import { Connection, type ConnectionOwner } from '../connection/connection.js';
import { payloadCodecOf } from '../connection/foreign-settings.js';
import { OutgoingStream } from '../connection/outgoing-stream.js';
import { ConnectionStreamWriter } from '../connection/stream-writer.js';
import type { Transport } from '../connection/transport.js';
import type { PooledTcpErrorCode } from '../errors/codes.js';
import { PooledTcpError, describeCause, withoutStack } from '../errors/pooled-tcp-error.js';
import { chooseCodec } from '../protocol/codecs.js';
import { PROTOCOL_VERSION, writeRefusal, writeWelcome, type Hello } from '../protocol/hello.js';
import type { CallId, FailureKind, GoawayNotice, Metadata, ServerSink } from '../protocol/messages.js';
import { NestJsonServerProtocol } from '../protocol/nest-json-server.js';
import { MAX_PATTERNS } from '../protocol/native/format.js';
import { NativeServerProtocol } from '../protocol/native/native-server.js';
import type { ProtocolName, ServerProtocol } from '../protocol/protocol.js';
import type { PushWriter } from '../protocol/push-writer.js';
import type { Place } from './admission.js';
import type { Principal } from './authentication.js';
import type { BoundedLog } from './bounded-log.js';
import { firstProtocol } from './first-protocol.js';
import { Intake } from './intake.js';
import { Lifetime, type Mortal } from './lifetime.js';
import { OutgoingPush } from './push/outgoing-push.js';
import type { PushOptions } from './push/push-settings.js';
import type { PushTally } from './push/push-tally.js';
import { SessionPushes } from './push/session-pushes.js';
import type { TagIndex } from './push/tag-index.js';
import { earlyBytes, Reception, type ReceptionHost } from './reception.js';
import type { PartialBudget } from './partial-budget.js';
import type { RefusalReason } from './refusals.js';
import { ServerCall, type CallReplies } from './server-call.js';
import { SessionCalls } from './session-calls.js';
import type { ServerSettings } from './settings.js';

/** Where requests go. Must not throw. */
export interface Dispatcher {
  request(call: ServerCall): void;
  /** @param ended to be called once what handles the event is done; more calls do no harm */
  event(session: Session, pattern: unknown, data: unknown, metadata: Metadata | undefined, ended: () => void): void;
}

/** What a session needs of its server. */
export interface SessionHost {
  readonly settings: ServerSettings;
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  /** For warnings that a peer can bring about. */
  readonly boundedLog: BoundedLog;
  readonly dispatcher: Dispatcher;
  /** Of messages that have not come whole. */
  readonly partialBudget: PartialBudget;
  /** From 0 to 1, for what must not happen to all connections at once. */
  readonly random: () => number;
  readonly tags: TagIndex<Session>;
  readonly pushTally: PushTally;
  /** Takes one of the server's slots for calls. @returns why there is none, where there is none */
  admitCall(): string | undefined;
  callEnded(): void;
  /** Takes a slot for an event. @returns why it is to be dropped, where it is */
  admitEvent(): string | undefined;
  eventEnded(): void;
  /** An event was dropped. */
  eventDropped(session: Session, why: string): void;
  /** The client is refused, for a reason that shows only in what it says. */
  refused(reason: RefusalReason, session: Session, why: string): void;
  closed(session: Session): void;
}

/** What the client is told of an answer that could not be written. */
const UNWRITABLE: Partial<Record<PooledTcpErrorCode, FailureKind>> = {
  PTCP_FRAME_TOO_LARGE: 'too-large',
  PTCP_WRITE_OVERFLOW: 'overflow',
};

/** The server's side of one connection: its protocol, its calls, and whatever handlers keep for it. */
export class Session implements ConnectionOwner, ServerSink, CallReplies, Mortal, ReceptionHost {
  readonly transport: Transport;
  readonly #host: SessionHost;
  readonly #connection: Connection;
  readonly #calls = new SessionCalls();
  readonly #lifetime: Lifetime;
  #intake: Intake | undefined;
  readonly #reception: Reception;
  /** Rings when the first of the deadlines has passed that callers gave. */
  #deadlines: Alarm | undefined;
  #streamWriter: ConnectionStreamWriter | undefined;
  #data: Map<unknown, unknown> | undefined;
  /** What the client lets each stream send before it grants more. */
  #peerStreamWindowBytes = 0;
  #protocol: ServerProtocol;
  #upgrade: NativeServerProtocol | undefined;
  #drainReason = 'the connection is closing';
  /** Handlers that go on although their calls were given up. */
  #abandoned = 0;
  /** Events whose handlers are at work. */
  #events = 0;
  /** Pongs are not queued for a peer that does not read: it gets the last of them once it does. */
  #owedPong: number | undefined;
  /** Made with the first push: a session that is never pushed to costs nothing more. */
  #pushes: SessionPushes | undefined;
  /** Made when somebody asks for the signal. */
  #over: AbortController | undefined;
  /** Why it is closed, or has begun to close. */
  #closeReason: PooledTcpError | undefined;

  constructor(transport: Transport, host: SessionHost, place: Place) {
    const { settings, clock } = host;
    this.transport = transport;
    this.#host = host;
    this.#reception = new Reception(this, settings, place);
    this.#lifetime = new Lifetime(settings, clock, this);
    this.#connection = new Connection({ ...settings, transport, clock }, this);
    this.#protocol = firstProtocol(this.#connection, this, {
      settings,
      peer: transport.peer,
      data: () => this.data,
      onHello: (hello, id) => this.#reception.hello(hello, id),
      refusal: () => this.#denial,
      failed: (error) => {
        this.#connection.destroy(error);
      },
    });
  }

  /** Begins to receive. */
  start(): void {
    this.#lifetime.begin();
    this.#connection.start();
    if (this.#denial === undefined) this.#protocol.accepted?.();
  }

  /** Free for handlers: state that lives as long as the connection. */
  get data(): Map<unknown, unknown> {
    return (this.#data ??= new Map());
  }

  /** Address of the client. */
  get peer(): string {
    return this.#connection.peer;
  }

  /** Who the client has shown to be, where the server asks for that. */
  get principal(): Principal | undefined {
    return this.#reception.principal;
  }

  get protocol(): ProtocolName {
    return this.#protocol.name;
  }

  /** Calls in flight. */
  get inFlight(): number {
    return this.#calls.size;
  }

  /** Whether it carries calls: it has shown itself to be a client that is served, and is not about to close. */
  get isOpen(): boolean {
    return this.#connection.state === 'ready' || this.#connection.state === 'draining';
  }

  /** Fires when the connection is gone, with a `PooledTcpError` that says why. */
  get signal(): AbortSignal {
    this.#over ??= new AbortController();
    if (this.#connection.state === 'closed') this.#over.abort(this.#closeReason);
    return this.#over.signal;
  }

  /** The groups it is in. */
  get tags(): ReadonlySet<string> {
    return this.#host.tags.tagsOf(this);
  }

  /** Joins a group, until it is closed; one that is closed joins none. */
  tag(tag: string): void {
    if (this.isOpen) this.#host.tags.add(this, tag);
  }

  untag(tag: string): void {
    this.#host.tags.remove(this, tag);
  }

  /** Bytes of pushes that wait for the client to read. */
  get pendingPushBytes(): number {
    return this.#pushes?.pendingBytes ?? 0;
  }

  /**
   * Sends a message that answers no request; while the client does not read, it waits, or what the options say.
   *
   * @throws PooledTcpError `PTCP_UNSUPPORTED` on the stock wire, `PTCP_CONNECTION_LOST`,
   * `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE`, `PTCP_WRITE_OVERFLOW`
   */
  push(route: string, data: unknown, options: PushOptions = {}): void {
    this.deliver(new OutgoingPush(route, data, false), options);
  }

  /** Sends a push that others may get too. Throws as {@link push} does. */
  deliver(push: OutgoingPush, options: PushOptions): void {
    const { state } = this.#connection;
    if (state === 'closed' || state === 'ending')
      throw this.#error('PTCP_CONNECTION_LOST', 'is not connected any more');
    const { pushWriter } = this.#protocol;
    if (pushWriter === undefined) this.#protocol.push(push.route, push.data);
    else (this.#pushes ??= this.#startPushes(pushWriter)).push(push, options);
    this.#lifetime.used();
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
    if (this.#lifetime.isOver) return;
    try {
      this.#protocol.receive(chunk);
      this.#upgradeNow();
      if (this.#reception.isAsking() && this.#takeRest().length > 0) throw earlyBytes();
    } catch (error) {
      if (!(error instanceof PooledTcpError)) {
        // No peer should be able to bring this about: it is a defect of this library, or of what was put into it.
        const what = error instanceof Error ? error.stack : describeCause(error);
        this.#host.boundedLog.warn('defect', `what ${this.peer} sent could not be handled: ${what}`);
        throw error;
      }
      this.#refuse(error);
      return;
    }
    const { partialBytes, partialMessage } = this.#protocol;
    if (partialBytes > 0 || partialMessage !== undefined || this.#intake?.isMidMessage === true)
      this.#watchIntake(chunk.length);
    // Any frame counts, also a heartbeat, of which no sink hears, and one that waits for an async deserializer.
    if (this.#connection.state === 'opening' && this.#protocol.hasFrame && !this.#reception.isAsking())
      this.#becomeReady();
  }

  ended(): void {
    if (!this.#lifetime.isOver) this.#protocol.end();
  }

  sendPing(token: number): void {
    this.#protocol.ping(token);
  }

  closed(reason: PooledTcpError): void {
    const { logger } = this.#host;
    this.#lifetime.end();
    this.#reception.close();
    this.#intake?.stop();
    this.#deadlines?.clear();
    this.#pushes?.close();
    this.#closeReason ??= reason;
    this.#host.tags.forget(this);
    this.#protocol.closed();
    const calls = this.#calls.values();
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
    this.#over?.abort(this.#closeReason);
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
    const denial = this.#denial;
    if (denial !== undefined) throw denial;
    this.#lifetime.used();
    if (this.#calls.get(id) !== undefined)
      throw this.#error('PTCP_PROTOCOL_VIOLATION', `uses the call id ${String(id)} twice`);
    // Once our side has ended, no answer can leave any more: what arrives then must not reach a handler either.
    if (this.#connection.state === 'draining' || this.#connection.state === 'ending') {
      this.#protocol.failure(id, 'overloaded', this.#drainReason);
      return;
    }
    // A handler that goes on after its call was cancelled still counts: cancelling is no way to start more of them.
    const running = this.#calls.size + this.#abandoned;
    if (running >= settings.maxInFlightPerConnection) {
      this.#protocol.failure(
        id,
        'overloaded',
        `the connection has ${running} calls in flight, as many as maxInFlightPerConnection allows`,
      );
      return;
    }
    // Counted from when its bytes were read: many calls may have been before it in the same read.
    const expiresAt = timeoutMs === undefined ? undefined : this.#connection.heartbeat.lastReadAt + timeoutMs;
    if (expiresAt !== undefined && clock.now() >= expiresAt) {
      this.#protocol.failure(id, 'deadline', `the deadline of ${timeoutMs} ms passed before its turn came`);
      return;
    }
    const overload = this.#host.admitCall();
    if (overload !== undefined) {
      this.#protocol.failure(id, 'overloaded', overload);
      return;
    }
    const streamWindowBytes = isStreaming ? settings.streamWindowBytes : undefined;
    const call = new ServerCall(this, this, { id, pattern, data, metadata, expiresAt, streamWindowBytes });
    this.#calls.add(call);
    if (expiresAt !== undefined) this.#ringAt(expiresAt);
    dispatcher.request(call);
  }

  event(pattern: unknown, data: unknown, metadata: Metadata | undefined): void {
    const denial = this.#denial;
    if (denial !== undefined) throw denial;
    this.#lifetime.used();
    const { settings, dispatcher } = this.#host;
    // Counted apart from calls: a client that keeps to its window of calls may send an event beside them.
    const why =
      this.#events >= settings.maxInFlightPerConnection
        ? `the connection has ${this.#events} events at work, as many as maxInFlightPerConnection allows`
        : this.#host.admitEvent();
    if (why !== undefined) {
      // It has no answer. To stop reading instead would hold up replies, cancels and heartbeats behind it.
      this.#host.eventDropped(this, why);
      return;
    }
    this.#events += 1;
    let isOver = false;
    dispatcher.event(this, pattern, data, metadata, () => {
      if (isOver) return;
      isOver = true;
      this.#events -= 1;
      this.#host.eventEnded();
    });
  }

  cancel(id: CallId): void {
    // Also of a call that has been answered: a part of the answer may be kept back.
    this.#protocol.cancelled(id);
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#forget(call);
    call.abandon(this.#error('PTCP_ABORTED', 'cancelled the call'));
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
    if (this.#connection.isWritable) {
      this.#protocol.pong(token);
      return;
    }
    const isOwed = this.#owedPong !== undefined;
    this.#owedPong = token;
    if (!isOwed)
      this.#connection.whenWritable(() => {
        this.#payPong();
      });
  }

  pong(token: number): void {
    this.#connection.heartbeat.onPong(token);
  }

  goaway(): void {
    // The client lets go of the connection itself once its calls have been answered.
  }

  malformed(error: PooledTcpError): void {
    this.#host.boundedLog.warn('malformed', `dropped a message from ${this.peer}: ${error.message} (${error.code})`);
  }

  // What calls answer.

  openStream(call: ServerCall): OutgoingStream {
    this.#streamWriter ??= new ConnectionStreamWriter(this.#connection, () => this.#protocol);
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

  abandoned(change: 1 | -1): void {
    this.#abandoned += change;
  }

  // What its reception decides.

  hookFailed(message: string): void {
    this.#host.logger.error(`${this.peer}: ${message}`);
  }

  refused(reason: RefusalReason, why: string): void {
    this.#host.refused(reason, this, why);
  }

  welcome(hello: Hello, id: unknown, isLate: boolean): void {
    this.#welcome(hello, id);
    if (isLate) this.#upgradeNow();
  }

  turnAway(id: unknown, error: PooledTcpError): void {
    writeRefusal(this.#connection.output, id, error);
    this.#sayFarewell(error);
  }

  // What its lifetime decides.

  get lastReadAt(): number {
    return this.#connection.heartbeat.lastReadAt;
  }

  late(timeoutMs: number): void {
    const what = this.#reception.isAsking() ? 'was not authenticated' : 'sent no frame';
    this.#connection.destroy(this.#error('PTCP_HANDSHAKE_FAILED', `${what} within ${timeoutMs} ms`));
  }

  idle(idleMs: number): void {
    const what = `was silent for ${Math.round(idleMs)} ms`;
    this.#protocol.goaway({ message: `the connection ${what}` });
    this.#sayFarewell(this.#error('PTCP_CONNECTION_LOST', what));
  }

  retire(reason: string): void {
    this.drain(reason);
  }

  overdue(timeoutMs: number): void {
    this.#connection.destroy(
      this.#error('PTCP_POOL_CLOSED', `was asked to go (${this.#drainReason}) and did not within ${timeoutMs} ms`),
    );
  }

  epochOf(time: number): number {
    return Date.now() + time - this.#host.clock.now();
  }

  #ringAt(at: number): void {
    this.#deadlines ??= new Alarm(this.#host.clock, () => {
      this.#expire();
    });
    this.#deadlines.setAt(at);
  }

  #watchIntake(chunkBytes: number): void {
    const { clock, settings, partialBudget } = this.#host;
    this.#intake ??= new Intake({
      clock,
      timeoutMs: settings.partialFrameTimeoutMs,
      budget: partialBudget,
      late: (what, bytes) => {
        this.#messageLate(what, bytes);
      },
      overBudget: () => {
        const { maxPartialBytes } = settings;
        const what = `has been at its message for the longest time, and unfinished messages of all clients take more than maxPartialBytes (${maxPartialBytes})`;
        this.#refuse(this.#error('PTCP_SERVER_OVERLOADED', what));
      },
    });
    this.#intake.arrived(this.#protocol.partialBytes, this.#protocol.partialMessage, chunkBytes);
  }

  /** Stops the calls whose callers have given up by now: they know it themselves, and are sent nothing. */
  #expire(): void {
    const now = this.#host.clock.now();
    for (const call of this.#calls.values()) {
      const { expiresAt } = call;
      if (expiresAt === undefined || call.isStreaming) continue;
      if (expiresAt > now) {
        this.#ringAt(expiresAt);
        continue;
      }
      this.#forget(call);
      call.abandon(
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
    if (this.#calls.remove(call)) this.#host.callEnded();
  }

  #endIfDrained(): void {
    if (this.#connection.state !== 'draining' || this.#calls.size > 0) return;
    // A native client has been told and closes by itself, so that no request of its can be cut off. A stock
    // client knows no goaway, and a foreign one may not: the end of the stream is all that both understand.
    if (this.#protocol.name !== 'native') this.#connection.end();
    this.#lifetime.drained();
  }

  /** The welcome is the last on the stock wire. */
  #welcome(hello: Hello, id: unknown): void {
    const { maxFrameBytes, idleTimeoutMs, streamWindowBytes } = this.#host.settings;
    this.#peerStreamWindowBytes = hello.streamWindowBytes;
    const codec = chooseCodec(payloadCodecOf(this.#host.settings.codec), hello.codecs);
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
  }

  /** Goes on in the native protocol, where that has been agreed on. */
  #upgradeNow(): void {
    const native = this.#upgrade;
    if (native === undefined) return;
    const rest = this.#takeRest();
    this.#upgrade = undefined;
    this.#protocol = native;
    this.#becomeReady();
    if (rest.length > 0) native.receive(rest);
  }

  /** What came behind the hello. */
  #takeRest(): Buffer {
    return this.#protocol instanceof NestJsonServerProtocol ? this.#protocol.takeRest() : Buffer.alloc(0);
  }

  #becomeReady(): void {
    const denial = this.#denial;
    if (denial !== undefined) {
      this.#refuse(denial);
      return;
    }
    if (this.#connection.ready(this.#protocol.hasHeartbeat)) this.#lifetime.ready(this.#host.random());
  }

  get #denial(): PooledTcpError | undefined {
    return this.#reception.denial(this.#protocol.name);
  }

  #messageLate(message: string, bytes: number): void {
    const { partialFrameTimeoutMs } = this.#host.settings;
    const what = `sent ${bytes} bytes of ${message} and did not go on within ${partialFrameTimeoutMs} ms`;
    this.#refuse(this.#error('PTCP_FRAME_TIMEOUT', what));
  }

  /** The peer reads again: of all its pings, the last is answered. */
  #payPong(): void {
    const token = this.#owedPong;
    this.#owedPong = undefined;
    if (token !== undefined && this.#connection.state !== 'closed') this.ping(token);
  }

  #startPushes(writer: PushWriter): SessionPushes {
    const { settings, pushTally: tally } = this.#host;
    const overflow = (bytes: number): void => {
      const what = `does not read: ${bytes} bytes of pushes wait for it, and more would exceed push.maxPendingBytes (${settings.push.maxPendingBytes})`;
      this.#refuse(this.#error('PTCP_WRITE_OVERFLOW', what));
    };
    return new SessionPushes({ connection: this.#connection, writer, settings: settings.push, tally, overflow });
  }

  /** Tells the client why, then closes. */
  #refuse(error: PooledTcpError): void {
    const notice: GoawayNotice = { code: error.code, message: error.message };
    if (error.code === 'PTCP_UNAUTHENTICATED') this.#host.refused('unauthenticated', this, 'it sent no hello');
    else
      this.#host.boundedLog.warn(
        error.code,
        `closing the connection of ${this.peer}: ${error.message} (${error.code})`,
      );
    this.#protocol.goaway(notice);
    this.#sayFarewell(error);
  }

  #sayFarewell(reason: PooledTcpError): void {
    this.#closeReason ??= reason;
    this.#reception.close();
    this.#intake?.stop();
    this.#lifetime.farewell(() => {
      this.#connection.destroy(reason);
    });
    this.#connection.end();
  }

  #error(code: PooledTcpError['code'], what: string): PooledTcpError {
    const { peer } = this;
    return withoutStack(() => new PooledTcpError(code, `${peer} ${what}`, { peer }));
  }
}
