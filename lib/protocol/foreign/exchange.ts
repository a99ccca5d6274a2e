import type { Clock, Timer } from '../../common/clock.js';
import { Deferred } from '../../common/deferred.js';
import { PooledTcpError, describeCause } from '../../errors/pooled-tcp-error.js';
import { violation } from '../protocol.js';
import type { DecodedMessage, ForeignConnection } from './message-codec.js';

/** What an exchange needs of its protocol. */
export interface ExchangeWire {
  /** Sends a request whose reply is for `waiting`. @throws PooledTcpError when nothing was written */
  requestFor(waiting: ExchangeRequest, pattern: unknown, data: unknown): void;
  /** Nobody waits for it any more. */
  giveUp(waiting: ExchangeRequest): void;
  send(pattern: unknown, data: unknown): void;
}

/** As many messages wait to be taken by `receive()`. */
const MAX_RECEIVED = 64;

/** A request of a login or logout: no call of the pool. */
export class ExchangeRequest extends Deferred<unknown> {
  /** Its number on the wire; written by the protocol. */
  id = 0;
}

/** The conversation of a login or a logout, over a connection that carries nothing else meanwhile. */
export class Exchange implements ForeignConnection {
  readonly peer: string;
  readonly #wire: ExchangeWire;
  readonly #clock: Clock;
  /** Messages that answer nothing, and those who wait for one: at most one of the two is not empty. */
  #received: DecodedMessage[] = [];
  #receivers: Deferred<DecodedMessage>[] = [];
  #over: PooledTcpError | undefined;

  constructor(peer: string, wire: ExchangeWire, clock: Clock) {
    this.peer = peer;
    this.#wire = wire;
    this.#clock = clock;
  }

  async request<T = unknown>(
    pattern: unknown,
    data?: unknown,
    options: { readonly timeoutMs?: number | undefined } = {},
  ): Promise<T> {
    this.#assertOpen();
    const waiting = new ExchangeRequest();
    this.#wire.requestFor(waiting, pattern, data);
    try {
      return (await this.#within(waiting.promise, options.timeoutMs, `'${String(pattern)}' was not answered`)) as T;
    } catch (error) {
      this.#wire.giveUp(waiting);
      throw error;
    }
  }

  send(pattern: unknown, data?: unknown): void {
    this.#assertOpen();
    this.#wire.send(pattern, data);
  }

  async receive(options: { readonly timeoutMs?: number | undefined } = {}): Promise<DecodedMessage> {
    this.#assertOpen();
    const first = this.#received.shift();
    if (first !== undefined) return first;
    const receiver = new Deferred<DecodedMessage>();
    this.#receivers.push(receiver);
    try {
      return await this.#within(receiver.promise, options.timeoutMs, 'nothing was received');
    } finally {
      this.#receivers = this.#receivers.filter((other) => other !== receiver);
    }
  }

  // What its protocol tells it.

  /** A message that answers nothing. @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION` when nobody takes them */
  arrived(message: DecodedMessage): void {
    const receiver = this.#receivers.shift();
    if (receiver !== undefined) {
      receiver.resolve(message);
      return;
    }
    if (this.#received.length >= MAX_RECEIVED) throw violation('messages that answer nothing, and that nobody takes');
    this.#received.push(message);
  }

  /** The conversation is over, or its connection is. */
  close(reason: PooledTcpError): void {
    this.#over ??= reason;
    for (const receiver of this.#receivers) receiver.reject(reason);
    this.#receivers = [];
  }

  #assertOpen(): void {
    if (this.#over !== undefined) throw this.#over;
  }

  async #within<T>(promise: Promise<T>, timeoutMs: number | undefined, what: string): Promise<T> {
    if (timeoutMs === undefined) return promise;
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = this.#clock.setTimeout(() => {
        reject(
          new PooledTcpError('PTCP_REQUEST_TIMEOUT', `${what} within ${timeoutMs} ms`, { peer: this.peer, sent: true }),
        );
      }, timeoutMs);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      if (timer !== undefined) this.#clock.clearTimeout(timer);
    }
  }
}

/** What the peer answered a request of the exchange with, as an error. */
export function exchangeRefused(peer: string, error: unknown): PooledTcpError {
  return new PooledTcpError('PTCP_HANDLER_FAILED', `${peer} answered with an error: ${describeCause(error)}`, {
    peer,
    sent: true,
    cause: error,
  });
}

/** The reason why an exchange takes no more. */
export function exchangeOver(what: string): PooledTcpError {
  return new PooledTcpError('PTCP_UNSUPPORTED', `the ${what} is over; calls go through the pool now`);
}
