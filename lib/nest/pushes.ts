import { Observable, Subject, takeUntil } from 'rxjs';
import type { Client } from '../client/client.js';
import type { SubscriptionPlan } from '../client/push-subscription.js';
import { MAX_TIMER_MS, conflict, refuse } from '../common/options.js';
import type { Metadata, OutgoingMessage } from '../protocol/messages.js';
import { handlerFailed } from './promise-reply.js';
import { checkedTimeout } from './request-options.js';

/** How a subscription is opened, and opened again: a request on the connection that the pushes then come over. */
export interface PushSubscribeOptions<T = unknown> {
  /** Pattern of the request whose handler makes the server push to its session: joins a group, say. */
  readonly pattern: unknown;
  /**
   * Data of the request. Called for each opening, with the push that was delivered last, so that the server can go on
   * from there; undefined the first time.
   */
  readonly data?: ((last: T | undefined) => unknown) | undefined;
  /** Time for the reply, in milliseconds; `Infinity` for none. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Subscribes at the server that requests with this key go to. */
  readonly key?: string | undefined;
  /** Strings that travel beside the data. */
  readonly metadata?: Metadata | undefined;
  /** Called when it is open, and open again, with what the handler replied and the address of the server. */
  readonly opened?: ((reply: unknown, peer: string) => void) | undefined;
  /** An event that is sent when nobody wants the pushes any more, on the same connection. */
  readonly end?: { readonly pattern: unknown; readonly data?: unknown } | undefined;
}

/** Options of `PooledTcpClient.pushes()` and of `@OnPush()`. */
export interface PushesOptions<T = unknown> {
  /** Asks the server for the pushes. Without it, everything that any server pushes with the pattern is taken. */
  readonly subscribe?: PushSubscribeOptions<T> | undefined;
  /**
   * Whether a push is to be delivered after the one that was delivered last; others are dropped. For servers that send
   * again what the client has, after a reconnect.
   */
  readonly isNewer?: ((push: T, last: T) => boolean) | undefined;
}

/** What pushes need of the Nest client. */
export interface PushesContext {
  /** The one at work now. */
  readonly client: () => Client;
  readonly route: (pattern: unknown) => string;
  readonly message: (pattern: unknown, data: unknown, metadata: Metadata | undefined) => OutgoingMessage;
}

/** What servers push, as Observables that end with the client. */
export class Pushes {
  readonly #context: PushesContext;
  readonly #closed = new Subject<void>();

  constructor(context: PushesContext) {
    this.#context = context;
  }

  /** @throws PooledTcpError `PTCP_OPTION_INVALID`, `PTCP_OPTION_CONFLICT` */
  of<T>(pattern: unknown, { subscribe, isNewer }: PushesOptions<T>): Observable<T> {
    const route = this.#context.route(pattern);
    if (subscribe !== undefined) return this.#subscription(this.#plan(route, subscribe, isNewer), subscribe);
    if (isNewer !== undefined)
      conflict('isNewer compares pushes of one subscription; give subscribe, too, or filter the Observable');
    return new Observable<T>((subscriber) =>
      this.#context.client().pushes.listen(route, (data) => {
        subscriber.next(data as T);
      }),
    ).pipe(takeUntil(this.#closed));
  }

  close(): void {
    this.#closed.next();
  }

  #subscription<T>(plan: SubscriptionPlan, { pattern, opened }: PushSubscribeOptions<T>): Observable<T> {
    return new Observable<T>((subscriber) =>
      this.#context.client().subscribe(plan, {
        next: (data) => {
          subscriber.next(data as T);
        },
        opened: (reply, peer) => {
          try {
            opened?.(reply, peer);
          } catch (error) {
            subscriber.error(error);
          }
        },
        failed: (error) => {
          subscriber.error(error);
        },
        handlerFailed: (error) => {
          subscriber.error(handlerFailed(this.#context.route(pattern), error));
        },
        complete: () => {
          subscriber.complete();
        },
      }),
    );
  }

  #plan<T>(route: string, options: PushSubscribeOptions<T>, isNewer: PushesOptions<T>['isNewer']): SubscriptionPlan {
    const { message, client } = this.#context;
    const { pattern, data, timeoutMs, key, metadata, end } = options;
    if (pattern === undefined || pattern === null) refuse('subscribe.pattern', pattern, 'a pattern');
    return {
      route,
      key,
      timeoutMs: timeoutMs === undefined ? client().settings.requestTimeoutMs : budget(timeoutMs),
      isNewer: isNewer as SubscriptionPlan['isNewer'],
      // A request needs a value, as `send()` does.
      request: (last) => message(pattern, data?.(last?.data as T | undefined) ?? {}, metadata),
      farewell: () => (end === undefined ? undefined : message(end.pattern, end.data ?? {}, undefined)),
    };
  }
}

function budget(timeoutMs: number): number {
  const checked = checkedTimeout(timeoutMs);
  if (checked <= 0) refuse('subscribe.timeoutMs', timeoutMs, 'more than 0');
  return checked > MAX_TIMER_MS ? 0 : checked;
}
