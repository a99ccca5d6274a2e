import 'reflect-metadata';
import { DEFAULT_POOL_NAME } from './tokens.js';
import type { PushesOptions } from './pushes.js';

const ON_PUSH_METADATA = 'pooled-tcp:on-push';

/** Options of {@link OnPush}. */
export interface OnPushOptions<T = unknown> extends PushesOptions<T> {
  /** Name of the pool. Default `default`. */
  readonly pool?: string | undefined;
}

/** What one `@OnPush()` says. */
export interface PushHandlerMetadata {
  readonly pattern: unknown;
  readonly pool: string;
  readonly options: PushesOptions;
}

/**
 * Calls a method of a provider with what servers push: `client.pushes(pattern, options)` of a pool, from the start of
 * the application to its end. What the method throws is logged. The provider must not be request-scoped, since a push
 * belongs to no request.
 *
 * @param pattern as in `@MessagePattern()`
 * @example
 * ```ts
 * @OnPush('quote', { pool: 'orders' })
 * onQuote(quote: Quote) {}
 * ```
 */
export function OnPush<T = unknown>(
  pattern: unknown,
  { pool = DEFAULT_POOL_NAME, ...options }: OnPushOptions<T> = {},
): MethodDecorator {
  return (_target, _name, descriptor) => {
    const method: unknown = descriptor.value;
    if (typeof method !== 'function') throw new TypeError('@OnPush() decorates a method');
    const metadata: PushHandlerMetadata = { pattern, pool, options: options as PushesOptions };
    Reflect.defineMetadata(ON_PUSH_METADATA, [...pushHandlersOf(method), metadata], method);
  };
}

/** What `@OnPush()` said of a method, nearest to it first. */
export function pushHandlersOf(method: object): readonly PushHandlerMetadata[] {
  return (Reflect.getMetadata(ON_PUSH_METADATA, method) as readonly PushHandlerMetadata[] | undefined) ?? [];
}
