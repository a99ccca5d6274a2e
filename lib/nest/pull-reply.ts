import type { RunningCall, ReplyObserver } from '../client/active-call.js';
import { ItemQueue } from '../common/item-queue.js';
import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { handlerFailed } from './promise-reply.js';

/** Replies that are taken one by one; the server waits for those that are not. */
export class PullReply implements ReplyObserver {
  readonly keepsItems = true;
  readonly items: ItemQueue;
  readonly #route: string;
  #call: RunningCall | undefined;

  constructor(route: string) {
    this.#route = route;
    this.items = new ItemQueue(
      (bytes) => this.#call?.taken(bytes),
      () => this.#call?.cancel(),
    );
  }

  /** The call whose replies these are. */
  attach(call: RunningCall): void {
    this.#call = call;
  }

  next(value: unknown, bytes: number): void {
    this.items.push(value, bytes);
  }

  complete(): void {
    this.items.end();
  }

  failed(error: PooledTcpError): void {
    this.items.fail(error);
  }

  handlerFailed(error: unknown): void {
    this.items.fail(handlerFailed(this.#route, error));
  }
}
