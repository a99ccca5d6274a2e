import { Backoff, type BackoffSettings } from '../common/backoff.js';
import type { Clock, Timer } from '../common/clock.js';
import type { DiagnosticLogger } from '../common/logger.js';
import type { PooledTcpErrorCode } from '../errors/codes.js';
import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { OutgoingMessage } from '../protocol/messages.js';
import type { ReplyObserver } from './active-call.js';
import type { ClientLease } from './client-lease.js';
import type { PushHub } from './push-hub.js';

/** What is subscribed to, and how. */
export interface SubscriptionPlan {
  /** Nest's key of the pattern of the pushes. */
  readonly route: string;
  /** The request that opens it, given the last push that was delivered. What it throws ends the subscription. */
  request(last: Delivered | undefined): OutgoingMessage;
  /** An event that ends it at the server, where there is one. */
  farewell(last: Delivered | undefined): OutgoingMessage | undefined;
  /** Whether a push is to be delivered after another; undefined where all are. */
  readonly isNewer: ((push: unknown, last: unknown) => boolean) | undefined;
  /** Time for the request. */
  readonly timeoutMs: number;
  readonly key: string | undefined;
}

/** The last push that was delivered. */
export interface Delivered {
  readonly data: unknown;
}

/** Who subscribes. Must not throw. */
export interface SubscriptionObserver {
  next(data: unknown): void;
  /** It is open, or open again, and the server has replied to the request. */
  opened(reply: unknown, peer: string): void;
  /** It cannot be opened, and could not be later or elsewhere. */
  failed(error: unknown): void;
  /** What the server's handler answered instead. */
  handlerFailed(error: unknown): void;
  /** The client is closed. */
  complete(): void;
}

/** What a subscription needs of its client. */
export interface SubscriptionHost {
  readonly clock: Clock;
  readonly logger: DiagnosticLogger;
  readonly backoff: BackoffSettings;
  readonly hub: PushHub;
  /** A slot on a connection that others go on to use. */
  pin(key: string | undefined, signal: AbortSignal): Promise<ClientLease>;
  /** It is over. */
  ended(subscription: PushSubscription): void;
}

/**
 * - `waiting`: for a connection
 * - `opening`: the request is under way; pushes may come already
 * - `open`: the server has replied
 * - `resting`: between two attempts
 * - `over`: for good
 */
type State = 'waiting' | 'opening' | 'open' | 'resting' | 'over';

const TRANSITIONS: Readonly<Record<State, readonly State[]>> = {
  waiting: ['opening', 'resting', 'over'],
  opening: ['open', 'waiting', 'resting', 'over'],
  open: ['waiting', 'over'],
  resting: ['waiting', 'over'],
  over: [],
};

/** What another server, or a later time, would say again. */
const PERMANENT: readonly PooledTcpErrorCode[] = [
  'PTCP_NO_HANDLER',
  'PTCP_UNSUPPORTED',
  'PTCP_PAYLOAD_UNSERIALIZABLE',
  'PTCP_PAYLOAD_MALFORMED',
  'PTCP_FRAME_TOO_LARGE',
  'PTCP_PROTOCOL_MISMATCH',
];

/**
 * Pushes over one connection at a time. When that dies, or is about to be closed, the subscription is opened again on
 * another, from the push that was delivered last. The connection is left, and nothing of it heard any more, before
 * that position is taken: no push of a former connection comes after one of the next.
 */
export class PushSubscription {
  readonly #plan: SubscriptionPlan;
  readonly #observer: SubscriptionObserver;
  readonly #host: SubscriptionHost;
  readonly #backoff: Backoff;
  #state: State = 'resting';
  #last: Delivered | undefined;
  #lease: ClientLease | undefined;
  /** Takes off what listens to the connection. */
  #detach: () => void = () => undefined;
  #acquiring: AbortController | undefined;
  #timer: Timer | undefined;
  /** Whether the log has said that it is interrupted. */
  #isInterrupted = false;

  constructor(plan: SubscriptionPlan, observer: SubscriptionObserver, host: SubscriptionHost) {
    this.#plan = plan;
    this.#observer = observer;
    this.#host = host;
    this.#backoff = new Backoff(host.backoff);
  }

  start(): void {
    this.#acquire();
  }

  /** The subscriber wants no more; the server is told where the plan says how. */
  cancel(): void {
    const lease = this.#lease;
    if (!this.#move('over')) return;
    if (lease?.isHeld === true) this.#sayFarewell(lease);
    this.#clear();
  }

  /** The client closes. */
  close(): void {
    if (this.#state === 'over') return;
    this.cancel();
    this.#observer.complete();
  }

  #acquire(): void {
    if (!this.#move('waiting')) return;
    const acquiring = new AbortController();
    this.#acquiring = acquiring;
    this.#host.pin(this.#plan.key, acquiring.signal).then(
      (lease) => {
        if (this.#state === 'waiting') this.#open(lease);
        else lease.release();
      },
      (error: unknown) => {
        this.#failed(error as PooledTcpError);
      },
    );
  }

  #open(lease: ClientLease): void {
    this.#acquiring = undefined;
    let message: OutgoingMessage;
    try {
      // The last moment: from here on nothing is delivered but what this connection brings.
      message = this.#plan.request(this.#last);
    } catch (error) {
      lease.release();
      this.#end((observer) => {
        observer.failed(error);
      });
      return;
    }
    this.#lease = lease;
    this.#move('opening');
    this.#attach(lease);
    let reply: unknown;
    const answer: ReplyObserver = {
      next: (value) => {
        reply = value;
      },
      complete: () => {
        this.#opened(reply, lease);
      },
      failed: (error) => {
        if (this.#lease === lease) this.#failed(error);
      },
      handlerFailed: (error) => {
        if (this.#lease !== lease) return;
        this.#end((observer) => {
          observer.handlerFailed(error);
        });
      },
    };
    lease.call(message, answer, { timeoutMs: this.#plan.timeoutMs });
  }

  #attach(lease: ClientLease): void {
    const { connection, signal } = lease;
    const stopListening = this.#host.hub.listen(this.#plan.route, (data, from) => {
      if (from === connection) this.#deliver(data);
    });
    const onOver = (): void => {
      this.#interrupted(signal.reason as PooledTcpError);
    };
    signal.addEventListener('abort', onOver, { once: true });
    const stopWatching = connection.whenLeaving(() => {
      this.#moveOn(lease);
    });
    this.#detach = () => {
      stopListening();
      stopWatching();
      signal.removeEventListener('abort', onOver);
    };
  }

  #deliver(data: unknown): void {
    const { isNewer } = this.#plan;
    if (isNewer !== undefined && this.#last !== undefined && !isNewer(data, this.#last.data)) return;
    this.#last = { data };
    this.#observer.next(data);
  }

  #opened(reply: unknown, lease: ClientLease): void {
    if (this.#lease !== lease || !this.#move('open')) return;
    this.#backoff.reset();
    const { peer } = lease;
    if (this.#isInterrupted) this.#host.logger.log(`the subscription to '${this.#plan.route}' goes on at ${peer}`);
    this.#isInterrupted = false;
    this.#observer.opened(reply, peer);
  }

  /** The pool is about to close the connection: it waits only until nobody uses it. */
  #moveOn(lease: ClientLease): void {
    if (this.#lease !== lease) return;
    this.#sayFarewell(lease);
    this.#letGo();
    this.#acquire();
  }

  /** The connection is gone. One that was open is opened elsewhere at once; one that was not, after a rest. */
  #interrupted(reason: PooledTcpError): void {
    if (this.#state === 'open') {
      this.#say(reason);
      this.#letGo();
      this.#acquire();
    } else this.#failed(reason);
  }

  #failed(error: PooledTcpError): void {
    if (this.#state === 'over') return;
    if (error.code === 'PTCP_POOL_CLOSED' && this.#lease === undefined) {
      this.close();
      return;
    }
    if (PERMANENT.includes(error.code)) {
      this.#end((observer) => {
        observer.failed(error);
      });
      return;
    }
    this.#say(error);
    this.#letGo();
    if (!this.#move('resting')) return;
    this.#timer = this.#host.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#acquire();
    }, this.#backoff.next());
  }

  #say({ message, code }: PooledTcpError): void {
    const { logger } = this.#host;
    const text = `the subscription to '${this.#plan.route}' is interrupted: ${message} (${code})`;
    if (this.#isInterrupted) logger.debug?.(text);
    else logger.warn(text);
    this.#isInterrupted = true;
  }

  #sayFarewell(lease: ClientLease): void {
    const { route } = this.#plan;
    const failed = (error: unknown): void => {
      this.#host.logger.debug?.(`the end of the subscription to '${route}' was not said: ${(error as Error).message}`);
    };
    try {
      const event = this.#plan.farewell(this.#last);
      if (event !== undefined) lease.emit(event).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #end(tell: (observer: SubscriptionObserver) => void): void {
    if (!this.#move('over')) return;
    this.#clear();
    tell(this.#observer);
  }

  #letGo(): void {
    const lease = this.#lease;
    this.#lease = undefined;
    this.#detach();
    this.#detach = () => undefined;
    if (lease?.isHeld === true) lease.release();
  }

  #clear(): void {
    this.#letGo();
    this.#acquiring?.abort(new Error('the subscription is over'));
    if (this.#timer !== undefined) this.#host.clock.clearTimeout(this.#timer);
    this.#host.ended(this);
  }

  #move(to: State): boolean {
    if (!TRANSITIONS[this.#state].includes(to)) return false;
    this.#state = to;
    return true;
  }
}
