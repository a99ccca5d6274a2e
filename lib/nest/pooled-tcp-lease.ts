import type { LoggerService } from '@nestjs/common';
import type { ClientLease } from '../client/client-lease.js';
import type { UploadSource } from '../client/upload.js';
import type { Metadata, OutgoingMessage } from '../protocol/messages.js';
import { PromiseReply } from './promise-reply.js';
import { pull } from './pull.js';
import { callTimeout, eventMessage, type RequestOptions } from './request-options.js';
import { uploadSource } from './upload-source.js';

/** What a lease needs of its client. */
export interface LeaseContext {
  message(
    pattern: unknown,
    data: unknown,
    metadata: Metadata | undefined,
    upload: UploadSource | undefined,
  ): OutgoingMessage;
  readonly requestTimeoutMs: number;
  readonly logger: Pick<LoggerService, 'warn'>;
}

/**
 * A borrowed connection. Until it is released nobody else uses it; when the connection dies, its calls fail
 * and none is continued elsewhere. Each use after the release throws.
 */
export class PooledTcpLease implements AsyncDisposable {
  readonly #lease: ClientLease;
  readonly #context: LeaseContext;

  constructor(lease: ClientLease, context: LeaseContext) {
    this.#lease = lease;
    this.#context = context;
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
    const upload = uploadSource(data, this.#context.logger);
    const message = this.#context.message(pattern, data, options.metadata, upload);
    const reply = new PromiseReply<TResult>(message.route);
    const { signal } = options;
    const timeoutMs = callTimeout(options.timeoutMs, this.#context.requestTimeoutMs, reply);
    if (timeoutMs === undefined) return reply.promise;
    this.#lease.call(message, reply, { timeoutMs, signal, upload });
    return reply.promise;
  }

  /** As `PooledTcpClient.stream`, on this connection. */
  stream<TResult = unknown, TInput = unknown>(
    pattern: unknown,
    data: TInput,
    options: RequestOptions = {},
  ): AsyncIterable<TResult> {
    return {
      [Symbol.asyncIterator]: () => {
        const upload = uploadSource(data, this.#context.logger);
        const request = this.#context.message(pattern, data, options.metadata, upload);
        return pull<TResult>(request.route, (reply) => {
          const timeoutMs = callTimeout(options.timeoutMs, this.#context.requestTimeoutMs, reply);
          if (timeoutMs === undefined) return undefined;
          return this.#lease.call(request, reply, { timeoutMs, signal: options.signal, upload });
        });
      },
    };
  }

  /** Sends an event on this connection; resolves when it has been given to the kernel. */
  async emit(pattern: unknown, data: unknown): Promise<void> {
    const upload = uploadSource(data, this.#context.logger);
    await this.#lease.emit(eventMessage(this.#context.message(pattern, data, undefined, upload)));
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
