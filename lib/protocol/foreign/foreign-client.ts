import type { Clock } from '../../common/clock.js';
import { PooledTcpError, describeCause } from '../../errors/pooled-tcp-error.js';
import type { ClientSink, MessageWriter, OutgoingMessage } from '../messages.js';
import { violation, type ClientProtocol } from '../protocol.js';
import { RequestIds, type Correlation } from './correlation.js';
import { Exchange, ExchangeRequest, exchangeOver, exchangeRefused } from './exchange.js';
import { ForeignProtocol, withoutStreams, type ForeignOptions } from './foreign-protocol.js';
import type { DecodedMessage, ForeignMessage } from './message-codec.js';
import { SerialLine } from './serial-line.js';

export interface ForeignClientOptions extends ForeignOptions {
  readonly correlation: Correlation;
  readonly clock: Clock;
  /** Address of the peer. */
  readonly peer: string;
}

const HEARTBEAT = Symbol('heartbeat');
/** Whom a reply is for: a call, by its number on the connection, a request of the login, or the heartbeat. */
type Owner = number | ExchangeRequest | typeof HEARTBEAT;

/** Client side of a foreign protocol: framing and codec are the user's, correlation and the life of calls are ours. */
export class ForeignClientProtocol extends ForeignProtocol implements ClientProtocol {
  readonly #sink: ClientSink;
  readonly #correlation: Correlation;
  readonly #clock: Clock;
  readonly #peer: string;
  readonly #ids: RequestIds<Owner>;
  readonly #line: SerialLine<Owner>;
  /** Ids of calls on the wire, by their number. */
  readonly #wireIds = new Map<number, number>();
  #exchange: Exchange | undefined;
  #pingToken = 0;
  #pingId: number | undefined;
  /** What the peer has said goodbye with. */
  #goodbye: string | undefined;
  /** A late reply may come that nothing tells from that of another call. */
  #isSpoiled = false;

  constructor(writer: MessageWriter, sink: ClientSink, options: ForeignClientOptions) {
    super(writer, options);
    this.#sink = sink;
    this.#correlation = options.correlation;
    this.#clock = options.clock;
    this.#peer = options.peer;
    this.#ids = new RequestIds<Owner>(options.correlation.maxId);
    this.#line = new SerialLine<Owner>(
      (parts) => {
        this.write(parts);
      },
      (bytes) => {
        this.hold(bytes);
      },
    );
  }

  /** False while a question would come between a call and its reply. */
  get mayPing(): boolean {
    return !this.#line.isBusy || this.#line.isCurrent(HEARTBEAT);
  }

  /** The login. Rejects with what the codec's hook throws. */
  async login(): Promise<void> {
    const { codec } = this;
    if (codec.onConnect === undefined) return;
    await this.#converse('login', (connection) => codec.onConnect?.(connection));
    if (this.#isSpoiled) throw this.#spoiled();
  }

  /** The logout, undefined where the protocol has none, or nothing can be said on the connection any more. */
  logout(): Promise<void> | undefined {
    const { codec } = this;
    if (codec.onClose === undefined || this.#isSpoiled) return undefined;
    const goaway = this.#goodbye;
    return this.#converse('logout', (connection) => codec.onClose?.(connection, { goaway }));
  }

  request(id: number, message: OutgoingMessage): void {
    if (message.isStreaming === true) throw withoutStreams();
    const { pattern, data, metadata } = message;
    this.#wireIds.set(id, this.#request(id, pattern, data, metadata));
  }

  event({ pattern, data, metadata }: OutgoingMessage): undefined {
    const message: ForeignMessage = { kind: 'event', event: true, pattern, data };
    this.writePayload(this.encode(metadata === undefined ? message : { ...message, metadata }));
    return undefined;
  }

  cancel(id: number): void {
    const wireId = this.#wireIds.get(id);
    if (wireId === undefined) return;
    this.#wireIds.delete(id);
    this.#giveUp(id, wireId);
  }

  isHeld(id: number): boolean {
    return this.#line.holds(id);
  }

  ping(token: number): void {
    this.#pingToken = token;
    // It has been asked: of two answers, the second would be taken for the reply of the next call.
    if (this.#line.isCurrent(HEARTBEAT)) return;
    this.guard(() => {
      // The answer to the last question may still come.
      if (this.#pingId !== undefined) this.#ids.abandon(this.#pingId);
      this.#pingId = undefined;
      const id = this.#ids.add(HEARTBEAT);
      this.#pingId = id;
      const parts = this.frame(this.encodeQuestion(id));
      if (this.#correlation.kind === 'id') this.write(parts);
      else this.#line.add(HEARTBEAT, id, undefined, parts);
    });
  }

  item(): never {
    throw withoutStreams();
  }

  completed(): never {
    throw withoutStreams();
  }

  failure(): never {
    throw withoutStreams();
  }

  override closed(): void {
    super.closed();
    const lost = new PooledTcpError('PTCP_CONNECTION_LOST', `the connection to ${this.#peer} is closed`, {
      peer: this.#peer,
      sent: true,
    });
    this.#line.stop();
    for (const owner of this.#ids.drain()) if (owner instanceof ExchangeRequest) owner.reject(lost);
    this.#exchange?.close(lost);
  }

  protected override get awaited(): ForeignMessage | undefined {
    return this.#line.message;
  }

  protected override heartbeatAsked(token: number): void {
    this.#sink.ping(token);
  }

  protected override heartbeatAnswered(): void {
    if (this.#pingId !== undefined) this.#ids.remove(this.#pingId);
    this.#alive();
    this.#line.next();
  }

  protected override receiveMessage(message: DecodedMessage): void {
    if (message.goaway !== undefined && message.goaway !== false) {
      if (message.answer !== undefined) this.answer(message, message.pattern, message.answer);
      const why = typeof message.goaway === 'string' ? message.goaway : 'the peer says goodbye';
      this.#goodbye = why;
      this.#sink.goaway({ message: why });
    } else if (message.push !== undefined && message.push !== false) this.#pushed(message);
    else this.#replied(message);
  }

  #replied(message: DecodedMessage): void {
    const owner = this.#ownerOf(message);
    if (owner === undefined) return;
    if (owner === HEARTBEAT) this.#alive();
    else if (typeof owner === 'number') {
      this.#wireIds.delete(owner);
      const { error, data } = message;
      if (error !== undefined && error !== null) this.#sink.failure(owner, 'handler', error);
      else this.#sink.response(owner, data);
    } else if (message.error !== undefined && message.error !== null)
      owner.reject(exchangeRefused(this.#peer, message.error));
    else owner.resolve(message.data);
    this.#line.next();
  }

  /** The question has been answered. */
  #alive(): void {
    this.#pingId = undefined;
    // A question that was asked before the first request showed that there are ids has taken a turn, too.
    if (this.#line.isCurrent(HEARTBEAT)) this.#line.take();
    this.#sink.pong(this.#pingToken);
  }

  /** Whom a reply is for; undefined where that is nobody, or nobody any more. */
  #ownerOf(message: DecodedMessage): Owner | undefined {
    const { kind } = this.#correlation;
    if (kind !== 'id' && this.#line.isBusy) {
      const current = this.#line.take();
      if (current === undefined) return undefined;
      this.#ids.remove(current.id);
      return current.owner;
    }
    // A connection that was given up is closed, and what still comes is for nobody.
    if (this.#isSpoiled && kind !== 'id') return undefined;
    const found = kind === 'id' && message.id !== undefined ? this.#ids.take(message.id) : undefined;
    if (found === 'late') return undefined;
    if (found !== undefined) return found.owner;
    if (this.#exchange !== undefined) {
      this.#exchange.arrived(message);
      return undefined;
    }
    if (kind !== 'id') throw violation('a reply although no call is in flight');
    if (message.id === undefined) {
      throw violation(
        'codec.decode() returned no id for a reply, and its encode() uses ids; say correlation: ’serial’ where replies have none',
      );
    }
    this.#sink.malformed(violation(`a reply with the id ${String(message.id)}, which no call in flight has`));
    return undefined;
  }

  /** @returns its id on the wire */
  #request(owner: Owner, pattern: unknown, data: unknown, metadata?: OutgoingMessage['metadata']): number {
    if (this.#isSpoiled) throw this.#spoiled();
    const id = this.#ids.add(owner);
    try {
      const message: ForeignMessage = { kind: 'request', id, pattern, data };
      const whole = metadata === undefined ? message : { ...message, metadata };
      const parts = this.frame(this.#correlation.learn(whole, (watched) => this.encode(watched)));
      if (this.#correlation.kind === 'id') this.write(parts);
      else this.#line.add(owner, id, whole, parts);
    } catch (error) {
      this.#ids.remove(id);
      throw error;
    }
    return id;
  }

  /** Nobody waits for its reply any more. */
  #giveUp(owner: Owner, wireId: number): void {
    if (this.#line.drop(owner) !== undefined) {
      this.#ids.remove(wireId);
      return;
    }
    this.#ids.abandon(wireId);
    if (this.#line.isCurrent(owner)) {
      this.#line.take();
      this.#spoil('a call was given up on a serial connection, where nothing tells its late reply from another');
    } else if (this.#ids.isSpoiled) this.#spoil('too many calls were given up on it and have not been answered');
  }

  /** Takes no new calls; those in flight go on, those that wait go elsewhere. */
  #spoil(message: string): void {
    if (this.#isSpoiled) return;
    this.#isSpoiled = true;
    for (const owner of this.#line.stop()) {
      const error = new PooledTcpError('PTCP_CONNECTION_LOST', message, { peer: this.#peer });
      if (typeof owner === 'number') {
        this.#wireIds.delete(owner);
        this.#sink.unsent(owner, error);
      } else if (owner instanceof ExchangeRequest) owner.reject(error);
    }
    // Who converses learns it from the request that was given up.
    if (this.#exchange === undefined) this.#sink.goaway({ message });
  }

  #spoiled(): PooledTcpError {
    return new PooledTcpError(
      'PTCP_CONNECTION_LOST',
      'a request before this one was given up, and may be answered yet',
      {
        peer: this.#peer,
      },
    );
  }

  #pushed(message: DecodedMessage): void {
    const { push, pattern, data } = message;
    const route = routeOf(typeof push === 'string' ? push : pattern);
    this.#sink.push(route, data);
    const { codec } = this;
    if (codec.onPush === undefined) {
      if (message.answer !== undefined) this.answer(message, route, message.answer);
      return;
    }
    const handled = new Promise((resolve) => {
      resolve(codec.onPush?.({ route, data, peer: this.#peer, message }));
    });
    handled.then(
      (answer) => {
        this.guard(() => {
          const given = answer ?? message.answer;
          if (given !== undefined) this.answer(message, route, given);
        });
      },
      (error: unknown) => {
        this.guard(() => {
          this.answerError(message, route, { status: 'error', message: describeCause(error) });
        });
      },
    );
  }

  async #converse(what: string, hook: (connection: Exchange) => unknown): Promise<void> {
    const exchange = new Exchange(
      this.#peer,
      {
        requestFor: (waiting, pattern, data) => {
          waiting.id = this.#request(waiting, pattern, data);
        },
        giveUp: (waiting) => {
          // Answered requests, also those answered with an error, own no id any more.
          if (this.#ids.has(waiting.id, waiting)) this.#giveUp(waiting, waiting.id);
        },
        send: (pattern, data) => {
          this.writePayload(this.encode({ kind: 'event', event: true, pattern, data }));
        },
      },
      this.#clock,
    );
    this.#exchange = exchange;
    try {
      await hook(exchange);
    } finally {
      this.#exchange = undefined;
      exchange.close(exchangeOver(what));
    }
  }
}

/** Nest's key of a pattern that is a text or a number; a codec has no others. */
function routeOf(pattern: unknown): string {
  if (typeof pattern === 'string' || typeof pattern === 'number') return String(pattern);
  throw violation('codec.decode() returned a push without a route: a text in push, or in pattern');
}
