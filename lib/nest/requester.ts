import type { LoggerService } from '@nestjs/common';
import type { CallOptions, ReplyObserver, RunningCall } from '../client/active-call.js';
import type { UploadSource } from '../client/upload.js';
import type { Metadata, OutgoingMessage } from '../protocol/messages.js';
import { PromiseReply } from './promise-reply.js';
import { pull } from './pull.js';
import { callTimeout, eventMessage, type RequestOptions } from './request-options.js';
import { uploadSource } from './upload-source.js';

/** What a requester needs of the Nest client. */
export interface RequesterContext {
  readonly requestTimeoutMs: number;
  readonly logger: Pick<LoggerService, 'warn'>;
  /** Nest's key of a pattern. */
  readonly route: (pattern: unknown) => string;
  readonly message: (
    pattern: unknown,
    route: string,
    data: unknown,
    metadata: Metadata | undefined,
    upload: UploadSource | undefined,
  ) => OutgoingMessage;
}

/** Begins a call: on any connection, or on that of a lease. */
export type BeginCall = (message: OutgoingMessage, reply: ReplyObserver, options: CallOptions) => RunningCall;

/** Turns what users write into calls: the same for a client and for a lease of it. */
export class Requester {
  readonly #context: RequesterContext;
  readonly #begin: BeginCall;

  constructor(context: RequesterContext, begin: BeginCall) {
    this.#context = context;
    this.#begin = begin;
  }

  /** The same, with another way to begin calls. */
  over(begin: BeginCall): Requester {
    return new Requester(this.#context, begin);
  }

  request<T>(pattern: unknown, data: unknown, options: RequestOptions): Promise<T> {
    const route = this.#context.route(pattern);
    const reply = new PromiseReply<T>(route);
    try {
      this.#call(pattern, route, data, options, reply);
    } catch (error) {
      // A bad option, or a dispatch hook that threw: a promise rejects, it does not throw.
      reply.fail(error);
    }
    return reply.promise;
  }

  stream<T>(pattern: unknown, data: unknown, options: RequestOptions): AsyncIterable<T> {
    const route = this.#context.route(pattern);
    return {
      [Symbol.asyncIterator]: () => pull<T>(route, (reply) => this.#call(pattern, route, data, options, reply)),
    };
  }

  /** @throws PooledTcpError `PTCP_UNSUPPORTED` for a stream */
  event(pattern: unknown, data: unknown): OutgoingMessage {
    const { route, message, logger } = this.#context;
    return eventMessage(message(pattern, route(pattern), data, undefined, uploadSource(data, logger)));
  }

  /** @returns undefined where the call has failed already, because no time was left */
  #call(
    pattern: unknown,
    route: string,
    data: unknown,
    options: RequestOptions,
    reply: ReplyObserver,
  ): RunningCall | undefined {
    const { requestTimeoutMs, logger, message } = this.#context;
    const { signal, metadata, key, idempotent } = options;
    const timeoutMs = callTimeout(options.timeoutMs, requestTimeoutMs, reply);
    if (timeoutMs === undefined) return undefined;
    const upload = uploadSource(data, logger);
    const request = message(pattern, route, data, metadata, upload);
    return this.#begin(request, reply, { timeoutMs, signal, upload, key, idempotent });
  }
}
