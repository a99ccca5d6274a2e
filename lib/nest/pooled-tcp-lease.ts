import type { ClientLease } from '../client/client-lease.js';
import type { RequestOptions } from './request-options.js';
import type { Requester } from './requester.js';

/**
 * A borrowed connection. Until it is released nobody else uses it; when the connection dies, its calls fail
 * and none is continued elsewhere. Each use after the release throws.
 */
export class PooledTcpLease implements AsyncDisposable {
  readonly #lease: ClientLease;
  readonly #requester: Requester;

  /** @param requester begins its calls on the lease */
  constructor(lease: ClientLease, requester: Requester) {
    this.#lease = lease;
    this.#requester = requester;
  }

  /** Address of the server. */
  get peer(): string {
    return this.#lease.peer;
  }

  /**
   * Fires when the connection is lost, when the lease is released, and when the pool takes it back: whatever was
   * held on the connection is gone then. The reason is a `PooledTcpError`.
   */
  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  /** False once released, or taken back by the pool. */
  get isHeld(): boolean {
    return this.#lease.isHeld;
  }

  /**
   * One request on this connection.
   *
   * @throws PooledTcpError as `PooledTcpClient.request`, and `PTCP_LEASE_RELEASED`, `PTCP_LEASE_RECLAIMED`
   */
  async request<TResult = unknown, TInput = unknown>(
    pattern: unknown,
    data: TInput,
    options: RequestOptions = {},
  ): Promise<TResult> {
    return this.#requester.request<TResult>(pattern, data, options);
  }

  /** As `PooledTcpClient.stream`, on this connection. */
  stream<TResult = unknown, TInput = unknown>(
    pattern: unknown,
    data: TInput,
    options: RequestOptions = {},
  ): AsyncIterable<TResult> {
    return this.#requester.stream<TResult>(pattern, data, options);
  }

  /** Sends an event on this connection; resolves when it has been given to the kernel. */
  async emit(pattern: unknown, data: unknown): Promise<void> {
    await this.#lease.emit(this.#requester.event(pattern, data));
  }

  /**
   * Gives the connection back. Calls still in flight on it fail.
   *
   * @throws PooledTcpError `PTCP_LEASE_RELEASED` the second time, `PTCP_LEASE_RECLAIMED`
   */
  release(): void {
    this.#lease.release();
  }

  /** Releases, unless that has happened already. */
  [Symbol.asyncDispose](): Promise<void> {
    if (this.isHeld) this.release();
    return Promise.resolve();
  }
}
