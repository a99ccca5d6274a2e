import { CallTable } from '../../common/call-table.js';
import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import {
  failureOf,
  type CallId,
  type FailureKind,
  type GoawayNotice,
  type MessageWriter,
  type ServerSink,
} from '../messages.js';
import { violation, type ServerProtocol } from '../protocol.js';
import type { PushWriter } from '../push-writer.js';
import { ForeignPushWriter } from './foreign-push-writer.js';
import { ForeignProtocol, withoutStreams, type ForeignOptions } from './foreign-protocol.js';
import { DEFAULT_MAX_ID, type DecodedMessage } from './message-codec.js';

export interface ForeignServerOptions extends ForeignOptions {
  /** Requests without ids that may wait for their turn on one connection. */
  readonly maxWaiting: number;
  /** Address of the client. */
  readonly peer: string;
  /** What lives as long as the connection. */
  readonly data: () => Map<unknown, unknown>;
}

/** A request that has not been answered. */
interface OpenRequest {
  /** Ours; written by the table. */
  id: number;
  readonly message: DecodedMessage;
  /** What a handler that returns a stream has emitted: the last value is the answer. */
  item?: { readonly data: unknown };
}

/**
 * Server side of a foreign protocol. Requests with ids run at once; those without run one after another, so that their
 * answers leave in the order in which they came.
 */
export class ForeignServerProtocol extends ForeignProtocol implements ServerProtocol {
  readonly #sink: ServerSink;
  readonly #options: ForeignServerOptions;
  #pushWriter: PushWriter | undefined;
  readonly #maxId: number;
  /** Ids of the peer's may be anything, and come twice: here calls have numbers of our own. */
  readonly #open = new CallTable<OpenRequest>();
  /** Of what this side says by itself: pushes, heartbeats. */
  #lastId = 0;
  #pingToken = 0;
  /** The call without an id that runs now, and the requests behind it. */
  #turn: CallId | undefined;
  #waiting: DecodedMessage[] = [];
  #isTakingTurns = false;

  constructor(writer: MessageWriter, sink: ServerSink, options: ForeignServerOptions) {
    super(writer, options);
    this.#sink = sink;
    this.#options = options;
    this.#maxId = options.codec.maxId ?? DEFAULT_MAX_ID;
  }

  /** The client is there. @throws PooledTcpError what the codec's hook throws */
  accepted(): void {
    const { peer, data } = this.#options;
    this.guard(() => {
      this.codec.onAccept?.({
        peer,
        data: data(),
        push: (pattern, pushed) => {
          this.push(pattern, pushed);
        },
      });
    });
  }

  response(id: CallId, data: unknown): void {
    const request = this.#open.get(id as number);
    if (request === undefined) return;
    this.answer(request.message, request.message.pattern, data);
    this.#answered(id);
  }

  /** A handler may return an Observable of one value; there is no second answer. */
  item(id: CallId, data: unknown): number {
    const request = this.#open.get(id as number);
    if (request === undefined) return 0;
    if (request.item !== undefined) throw withoutStreams();
    request.item = { data };
    return 0;
  }

  completed(id: CallId): void {
    this.response(id, this.#open.get(id as number)?.item?.data);
  }

  failure(id: CallId, kind: FailureKind, error: unknown): void {
    const request = this.#open.get(id as number);
    if (request === undefined) return;
    const given = kind === 'handler' ? error : { status: 'error', code: failureOf(kind).code, message: String(error) };
    this.answerError(request.message, request.message.pattern, given);
    this.#answered(id);
  }

  cancelled(): void {
    // A foreign wire has no cancel.
  }

  /** Made for the first push. */
  get pushWriter(): PushWriter {
    return (this.#pushWriter ??= new ForeignPushWriter({
      frame: (route, data) =>
        this.frame(this.encode({ kind: 'push', push: true, id: this.#nextId(), pattern: route, data })),
      write: (parts) => {
        this.write(parts);
      },
    }));
  }

  push(route: string, data: unknown): void {
    this.pushWriter.write(route, data, () => undefined);
  }

  goaway(notice: GoawayNotice): void {
    this.encodeGoaway(this.#nextId(), notice);
  }

  ping(token: number): void {
    this.#pingToken = token;
    this.guard(() => {
      this.writePayload(this.encodeQuestion(this.#nextId()));
    });
  }

  override closed(): void {
    super.closed();
    this.#open.drain();
    this.#waiting = [];
  }

  protected override heartbeatAsked(token: number): void {
    this.#sink.ping(token);
  }

  protected override heartbeatAnswered(): void {
    // The heartbeat asks anew only once it has given up on the last question: any answer is to the last.
    this.#sink.pong(this.#pingToken);
  }

  protected override receiveMessage(message: DecodedMessage): void {
    const { pattern, data, answer, event, push, goaway } = message;
    if (push !== undefined && push !== false)
      throw violation('codec.decode() returned a push, and this is the server; an answer to a push is an event: true');
    if (answer !== undefined) this.#answerInTurn(message);
    if (goaway !== undefined && goaway !== false)
      this.#sink.goaway({ message: typeof goaway === 'string' ? goaway : 'the client says goodbye' });
    if (event === true) this.#sink.event(patternOf(message), data, undefined);
    else if (answer === undefined && (pattern !== undefined || goaway === undefined || goaway === false))
      this.#requested(message);
  }

  #requested(message: DecodedMessage): void {
    if (message.id !== undefined) {
      this.#start(message, false);
      return;
    }
    this.#wait(message);
    this.#takeTurns();
  }

  /** An answer of the codec's. Without an id it waits behind the request that runs, or it would be taken for its answer. */
  #answerInTurn(message: DecodedMessage): void {
    if (message.id === undefined && this.#turn !== undefined) this.#wait(message);
    else this.answer(message, message.pattern, message.answer);
  }

  #wait(message: DecodedMessage): void {
    if (this.#waiting.length >= this.#options.maxWaiting) {
      throw new PooledTcpError(
        'PTCP_SERVER_OVERLOADED',
        `${this.#waiting.length} requests wait for their turn on a serial connection, as many as maxInFlightPerConnection allows`,
      );
    }
    this.#waiting.push(message);
  }

  /** Starts the requests without ids whose turn it is; those that are refused or answered at once are over at once. */
  #takeTurns(): void {
    if (this.#isTakingTurns) return;
    this.#isTakingTurns = true;
    try {
      while (this.#turn === undefined) {
        const message = this.#waiting.shift();
        if (message === undefined) return;
        if (message.answer === undefined) this.#start(message, true);
        else this.answer(message, message.pattern, message.answer);
      }
    } finally {
      this.#isTakingTurns = false;
    }
  }

  #start(message: DecodedMessage, isTurn: boolean): void {
    const pattern = patternOf(message);
    const request: OpenRequest = { id: 0, message };
    this.#open.add(request);
    const { id } = request;
    if (isTurn) this.#turn = id;
    this.#sink.request(id, pattern, message.data, undefined, undefined, false);
  }

  #answered(id: CallId): void {
    this.#open.take(id as number);
    if (this.#turn !== id) return;
    this.#turn = undefined;
    this.guard(() => {
      this.#takeTurns();
    });
  }

  #nextId(): number {
    this.#lastId = this.#lastId >= this.#maxId ? 1 : this.#lastId + 1;
    return this.#lastId;
  }
}

function patternOf({ pattern }: DecodedMessage): unknown {
  if (pattern === undefined || pattern === null)
    throw violation('codec.decode() returned no pattern, and a server needs one for its handlers');
  return pattern;
}
