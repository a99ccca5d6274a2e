import type { Clock, Timer } from '../common/clock.js';
import { CallTable } from '../common/call-table.js';
import { Deferred } from '../common/deferred.js';
import type { DiagnosticLogger } from '../common/logger.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import {
  failureOf,
  type ClientSink,
  type FailureKind,
  type GoawayNotice,
  type OutgoingMessage,
} from '../protocol/messages.js';
import type { CodecName } from '../protocol/codec.js';
import type { CodecOption } from '../protocol/codec-rule.js';
import { codecNamed, offeredCodecs } from '../protocol/codecs.js';
import type { PacketDeserializer, PacketSerializer } from '../protocol/nest-json.js';
import { NestJsonClientProtocol } from '../protocol/nest-json-client.js';
import type { ForeignClientProtocol } from '../protocol/foreign/foreign-client.js';
import { NativeClientProtocol } from '../protocol/native/native-client.js';
import type { Correlation } from '../protocol/foreign/correlation.js';
import type { Framing } from '../framing/framing.js';
import type { ClientProtocol, ProtocolName } from '../protocol/protocol.js';
import type { Call } from './call.js';
import { Connection, type ConnectionOwner, type ConnectionState } from './connection.js';
import type { Credentials } from './credentials.js';
import { foreignOf, payloadCodecOf } from './foreign-settings.js';
import { login, openForeign } from './foreign-opening.js';
import { HelloExchange } from './hello-exchange.js';
import { IncomingWindow } from './incoming-window.js';
import { OutgoingStream } from './outgoing-stream.js';
import { ConnectionStreamWriter } from './stream-writer.js';
import type { HeartbeatSettings } from './heartbeat.js';
import type { Transport } from './transport.js';

export interface ClientConnectionOptions {
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  readonly heartbeat: HeartbeatSettings | false;
  readonly maxPendingWriteBytes: number;
  readonly maxFrameBytes: number;
  readonly streamWindowBytes: number;
  readonly protocol: 'auto' | ProtocolName;
  readonly serializer: PacketSerializer | undefined;
  readonly deserializer: PacketDeserializer | undefined;
  /** Default `json`. */
  readonly codec?: CodecOption | undefined;
  /** It is opened for one call, which shows soon enough whether the peer answers. Default false. */
  readonly isForOneCall?: boolean | undefined;
  /** Of a foreign protocol, whose messages are those of `codec`. */
  readonly framing?: Framing | undefined;
  /** How its replies find their calls; shared by the connections of a client. */
  readonly correlation?: Correlation | undefined;
  /** Who this client is; default: it does not say. */
  readonly credentials?: Credentials | undefined;
}

/** What a connection tells the pool it belongs to. */
export interface ClientConnectionEvents {
  /** It is gone; the calls in flight fail next. */
  closed(reason: PooledTcpError): void;
  /** The server takes no new calls on it. */
  goaway(notice: GoawayNotice): void;
  /** The server pushed something. */
  push(route: string, data: unknown, connection: ClientConnection): void;
}

/** How long a closed connection may go on sending what the kernel has not taken yet. */
const LINGER_MS = 5_000;

/** The client's side of one connection: the agreement on a protocol, then many calls at once. */
export class ClientConnection implements ConnectionOwner, ClientSink {
  readonly #connection: Connection;
  readonly #options: ClientConnectionOptions;
  readonly #events: ClientConnectionEvents;
  readonly #calls = new CallTable<Call>();
  /** Until it is open, or has failed. */
  #opened: Deferred | undefined = new Deferred();
  /** Until the protocol is agreed on, the exchange takes what is received. */
  #hello: HelloExchange | undefined;
  #protocol: ClientProtocol | undefined;
  #serverIdleTimeoutMs = 0;
  /** What the server lets each stream send before it grants more. */
  #peerStreamWindowBytes = 0;
  #streamWriter: ConnectionStreamWriter | undefined;
  #codec: CodecName = 'json';
  #linger: Timer | undefined;
  #goodbye: Promise<void> | undefined;
  /** Told when it closes, beside its pool. */
  #watchers: Set<(reason: PooledTcpError) => void> | undefined;
  #leavers: Set<() => void> | undefined;

  private constructor(transport: Transport, options: ClientConnectionOptions, events: ClientConnectionEvents) {
    this.#options = options;
    this.#events = events;
    this.#connection = new Connection({ ...options, transport }, this);
  }

  /**
   * Agrees with the peer on a protocol.
   *
   * @param signal gives up and destroys the transport
   * @throws PooledTcpError `PTCP_HANDSHAKE_FAILED`, `PTCP_PROTOCOL_MISMATCH`, or what the server refused with
   */
  static async open(
    transport: Transport,
    options: ClientConnectionOptions,
    events: ClientConnectionEvents,
    signal: AbortSignal,
  ): Promise<ClientConnection> {
    const connection = new ClientConnection(transport, options, events);
    const onAbort = (): void => {
      connection.destroy(
        new PooledTcpError(
          'PTCP_HANDSHAKE_FAILED',
          `gave up waiting for ${transport.peer} to answer the ${connection.#opening}`,
          {
            peer: transport.peer,
            cause: signal.reason,
          },
        ),
      );
    };
    signal.addEventListener('abort', onAbort);
    try {
      connection.#open();
      if (signal.aborted) onAbort();
      await connection.#opened?.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    return connection;
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  get peer(): string {
    return this.#connection.peer;
  }

  get protocol(): ProtocolName | undefined {
    return this.#protocol?.name;
  }

  /** How payloads are encoded, as agreed on with the server. */
  get codec(): CodecName {
    return this.#codec;
  }

  /** Calls in flight. */
  get inFlight(): number {
    return this.#calls.size;
  }

  get roundTripMs(): number | undefined {
    return this.#connection.heartbeat.roundTripMs;
  }

  /** When the last byte was read, on the clock given. */
  get lastReadAt(): number {
    return this.#connection.heartbeat.lastReadAt;
  }

  /** How long the server keeps a connection that carries no calls; 0 where it did not say. */
  get serverIdleTimeoutMs(): number {
    return this.#serverIdleTimeoutMs;
  }

  /**
   * Sends a request; the call gets what comes back.
   *
   * @throws PooledTcpError with `sent: false` when nothing was written: the call is then not registered
   */
  request(call: Call, message: OutgoingMessage, timeoutMs: number): void {
    const protocol = this.#ready();
    call.flush = this.#connection.nextFlush;
    this.#calls.add(call);
    try {
      protocol.request(call.id, message, timeoutMs);
    } catch (error) {
      this.#calls.take(call.id);
      throw error;
    }
  }

  /** What the call streams to the server; its request, which says so, has been sent. */
  openStream(call: Call): OutgoingStream {
    const protocol = this.#ready();
    this.#streamWriter ??= new ConnectionStreamWriter(this.#connection, () => protocol);
    call.outgoing = new OutgoingStream(call.id, this.#streamWriter, this.#peerStreamWindowBytes);
    return call.outgoing;
  }

  /** The source of what the call streams has no more, or has failed. */
  endStream(call: Call, failure?: { readonly error: unknown }): void {
    if (this.#calls.get(call.id) !== call || this.#protocol === undefined) return;
    if (failure === undefined) this.#protocol.completed(call.id);
    else this.#protocol.failure(call.id, failure.error);
  }

  /** An item has been taken: the server may send more. */
  taken(call: Call, bytes: number): void {
    const granted = call.incoming?.taken(bytes) ?? 0;
    if (granted > 0 && this.#calls.get(call.id) === call && this.#connection.state !== 'closed')
      this.#protocol?.credit(call.id, granted);
  }

  /** Sends an event; resolves when its bytes have been given to the kernel. */
  async emit(message: OutgoingMessage): Promise<void> {
    const later = this.#ready().event(message);
    if (later !== undefined) {
      await later;
      if (this.state === 'closed')
        throw new PooledTcpError('PTCP_CONNECTION_LOST', `${this.peer} is not connected`, { peer: this.peer });
    }
    await this.#written();
  }

  /**
   * The caller is not interested any more: nothing further is delivered to the call.
   *
   * @returns whether the request can have reached a handler
   */
  cancel(call: Call): boolean {
    if (this.#calls.take(call.id) !== call) return true;
    const isUnsent = this.#isUnsent(call);
    if (this.#connection.state !== 'closed') this.#protocol?.cancel(call.id);
    return !isUnsent;
  }

  /** Calls back when the connection closes; the returned function takes that back. */
  watch(closed: (reason: PooledTcpError) => void): () => void {
    this.#watchers ??= new Set();
    this.#watchers.add(closed);
    return () => {
      this.#watchers?.delete(closed);
    };
  }

  /** Calls back when it is to be closed once nobody uses it; the returned function takes that back. */
  whenLeaving(callback: () => void): () => void {
    this.#leavers ??= new Set();
    this.#leavers.add(callback);
    return () => {
      this.#leavers?.delete(callback);
    };
  }

  /** It gets no new calls. Those who use it without an end are told, in a turn of their own: the pool is at work. */
  leave(): void {
    const leavers = this.#leavers;
    if (leavers === undefined || leavers.size === 0) return;
    queueMicrotask(() => {
      for (const callback of [...leavers]) callback();
    });
  }

  /** Resolves when the peer shows a sign of life. The caller sets the deadline and learns of a close elsewhere. */
  async probe(): Promise<void> {
    if (this.state === 'closed')
      throw new PooledTcpError('PTCP_CONNECTION_LOST', `${this.peer} is not connected`, { peer: this.peer });
    // Without a question to ask, an open connection is all there is to know.
    if (this.#protocol?.hasHeartbeat === false) return;
    await this.#connection.heartbeat.probe();
  }

  /** Takes no new calls; those in flight go on. */
  drain(): void {
    this.#connection.drain();
  }

  /** Sends what waits to be sent, within a few seconds, then closes. Calls in flight fail. */
  close(): void {
    if (this.#goodbye === undefined && this.#sayGoodbye() === undefined) this.#end();
  }

  /** Resolves once the protocol's own goodbye has been said, where it has one and {@link close} was called. */
  get goodbye(): Promise<void> | undefined {
    return this.#goodbye;
  }

  #sayGoodbye(): Promise<void> | undefined {
    if (this.state !== 'ready' && this.state !== 'draining') return undefined;
    const logout = this.#protocol?.logout?.();
    if (logout === undefined) return undefined;
    this.drain();
    this.#startLinger();
    this.#goodbye = logout
      .catch((error: unknown) => {
        this.#options.logger.debug?.(`${this.peer} did not take part in the logout: ${describeCause(error)}`);
      })
      .then(() => {
        this.#end();
      });
    return this.#goodbye;
  }

  #end(): void {
    this.#protocol?.flush();
    this.#connection.flush();
    if (this.#connection.pendingBytes === 0) {
      this.#connection.destroy(this.#closedHere());
      return;
    }
    this.#startLinger();
    this.#connection.end();
  }

  #startLinger(): void {
    this.#linger ??= this.#options.clock.setTimeout(() => {
      this.#connection.destroy(this.#closedHere());
    }, LINGER_MS);
  }

  /** Closes at once; calls in flight fail with the reason. */
  destroy(reason: PooledTcpError): void {
    this.#connection.destroy(reason);
  }

  // What the connection tells its owner.

  receive(chunk: Buffer): void {
    if (this.#hello !== undefined) this.#hello.receive(chunk);
    else this.#protocol?.receive(chunk);
  }

  ended(): void {
    this.#protocol?.end();
  }

  sendPing(token: number): void {
    if (this.#protocol?.mayPing === false) this.#connection.heartbeat.postpone();
    else this.#protocol?.ping(token);
  }

  closed(reason: PooledTcpError): void {
    this.#hello = undefined;
    if (this.#linger !== undefined) this.#options.clock.clearTimeout(this.#linger);
    this.#opened?.reject(
      reason.code === 'PTCP_CONNECTION_LOST'
        ? new PooledTcpError(
            'PTCP_HANDSHAKE_FAILED',
            `${this.peer} accepted the connection and closed it before the ${this.#opening} was done`,
            { peer: this.peer, cause: reason.cause },
          )
        : reason,
    );
    // A connection that never opened is reported by open() alone.
    this.#opened?.promise.catch(() => undefined);
    const calls = this.#calls.drain();
    const unsent = new Set(calls.filter((call) => this.#isUnsent(call)));
    this.#protocol?.closed();
    // The pool first: a call that fails unsent is repeated at once, and must not be given this connection again.
    this.#events.closed(reason);
    for (const watcher of this.#watchers ?? []) watcher(reason);
    for (const call of calls) {
      call.onFailure(
        new PooledTcpError(reason.code, reason.message, {
          peer: this.peer,
          sent: this.#connection.hasLeft(call.flush) && !unsent.has(call),
          cause: reason.cause,
        }),
      );
    }
  }

  // What the peer says.

  response(id: number, data: unknown): void {
    this.#calls.take(id)?.onResponse(data);
  }

  item(id: number, data: unknown, bytes: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    if (bytes > 0) {
      call.incoming ??= new IncomingWindow(this.#options.streamWindowBytes);
      call.incoming.arrived(bytes);
    }
    call.onItem(data, bytes);
  }

  credit(id: number, bytes: number): void {
    const call = this.#calls.get(id);
    if (call?.outgoing === undefined) return;
    call.outgoing.credited(bytes);
    call.onCredit();
  }

  end(id: number): void {
    this.#calls.take(id)?.onEnd();
  }

  failure(id: number, kind: FailureKind, error: unknown): void {
    const call = this.#calls.take(id);
    if (call === undefined) return;
    if (kind === 'handler') {
      call.onHandlerFailure(error);
      return;
    }
    const { code, sent } = failureOf(kind);
    const message = kind === 'no-handler' ? String(error) : `${this.peer} refused the call: ${describeCause(error)}`;
    call.onFailure(new PooledTcpError(code, message, { peer: this.peer, sent }));
  }

  unsent(id: number, error: PooledTcpError): void {
    this.#calls.take(id)?.onFailure(error);
  }

  push(route: string, data: unknown): void {
    this.#events.push(route, data, this);
  }

  ping(token: number): void {
    this.#protocol?.pong(token);
  }

  pong(token: number): void {
    this.#connection.heartbeat.onPong(token);
  }

  goaway(notice: GoawayNotice): void {
    if (this.state === 'opening') {
      this.destroy(
        new PooledTcpError(
          'PTCP_HANDSHAKE_FAILED',
          `${this.peer} said goodbye during or right after the ${this.#opening}: ${notice.message}`,
          {
            peer: this.peer,
          },
        ),
      );
      return;
    }
    this.drain();
    this.#events.goaway(notice);
  }

  malformed(error: PooledTcpError): void {
    this.#options.logger.warn(`dropped a message from ${this.peer}: ${error.message} (${error.code})`);
  }

  /** What has to be done before the connection carries calls. */
  get #opening(): string {
    return this.#options.framing === undefined ? 'hello' : 'login';
  }

  #open(): void {
    const { protocol } = this.#options;
    const foreign = foreignOf(this.#options);
    if (foreign !== undefined) {
      this.#logIn(openForeign(this.#connection, this, foreign, this.#options));
      return;
    }
    if (protocol === 'nest-json') {
      this.#speakNestJson();
      this.#connection.start();
      // No hello here: a first heartbeat shows that the peer answers, and that this is no dead port.
      this.#readyAfterHeartbeat();
      return;
    }
    this.#connection.start();
    let credentials: unknown;
    try {
      credentials = this.#options.credentials?.forDial();
    } catch (error) {
      this.destroy(error as PooledTcpError);
      return;
    }
    if (!(credentials instanceof Promise)) {
      this.#sayHello(credentials);
      return;
    }
    credentials.then(
      (given: unknown) => {
        // Given up meanwhile, or closed by the server.
        if (this.state === 'opening') this.#sayHello(given);
      },
      (error: unknown) => {
        this.destroy(error as PooledTcpError);
      },
    );
  }

  #logIn(protocol: ForeignClientProtocol): void {
    this.#protocol = protocol;
    this.#connection.start();
    login(protocol, this.peer).then(
      () => {
        this.#becomeReady();
      },
      (error: unknown) => {
        this.destroy(error as PooledTcpError);
      },
    );
  }

  #sayHello(credentials: unknown): void {
    const { protocol, maxFrameBytes, streamWindowBytes, clock } = this.#options;
    const codecs = offeredCodecs(payloadCodecOf(this.#options.codec));
    const hello = { maxFrameBytes, streamWindowBytes, codecs, credentials };
    this.#hello = new HelloExchange(this.#connection, hello, (answer, rest) => {
      this.#hello = undefined;
      if (answer.kind === 'stock') {
        if (protocol === 'native')
          throw new PooledTcpError('PTCP_PROTOCOL_MISMATCH', 'is a stock Nest server and the options ask for native()');
        this.#speakNestJson();
      } else {
        this.#serverIdleTimeoutMs = answer.welcome.idleTimeoutMs;
        this.#peerStreamWindowBytes = answer.welcome.streamWindowBytes;
        this.#codec = answer.welcome.codec ?? 'json';
        if (this.#codec !== 'json' && codecs?.includes(this.#codec) !== true)
          throw new PooledTcpError('PTCP_HANDSHAKE_FAILED', `chose the codec ${this.#codec}, which was not offered`);
        this.#protocol = new NativeClientProtocol(this.#connection, this, {
          clock,
          maxFrameBytes,
          peerMaxFrameBytes: Math.min(maxFrameBytes, answer.welcome.maxFrameBytes),
          maxPatterns: answer.welcome.maxPatterns,
          codec: codecNamed(this.#codec),
        });
      }
      // The stock server has answered a request by now. Ours has not spoken its protocol yet: a first heartbeat runs
      // both ends' code once, before a caller waits for it, and measures the round trip.
      if (answer.kind === 'stock') this.#becomeReady();
      else this.#readyAfterHeartbeat();
      if (rest.length > 0) this.#protocol?.receive(rest);
    });
  }

  #readyAfterHeartbeat(): void {
    if (this.#options.heartbeat === false || this.#options.isForOneCall === true) {
      this.#becomeReady();
      return;
    }
    void this.#connection.heartbeat.probe().then(() => {
      this.#becomeReady();
    });
  }

  #speakNestJson(): void {
    this.#protocol = new NestJsonClientProtocol(this.#connection, this, this.#options);
  }

  #becomeReady(): void {
    if (!this.#connection.ready(this.#protocol?.hasHeartbeat === true)) return;
    this.#opened?.resolve();
    this.#opened = undefined;
  }

  /** What is kept back of a call that streams are its items: its request, which has no data, has left. */
  #isUnsent(call: Call): boolean {
    return call.outgoing === undefined && this.#protocol?.isHeld(call.id) === true;
  }

  #ready(): ClientProtocol {
    if (this.#protocol !== undefined && this.#connection.state === 'ready') return this.#protocol;
    throw new PooledTcpError('PTCP_CONNECTION_LOST', `the connection to ${this.peer} is ${this.#connection.state}`, {
      peer: this.peer,
    });
  }

  #closedHere(): PooledTcpError {
    return new PooledTcpError('PTCP_POOL_CLOSED', `the connection to ${this.peer} was closed by this side`, {
      peer: this.peer,
    });
  }

  #written(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connection.whenWritten((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  }
}
