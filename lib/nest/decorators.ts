import 'reflect-metadata';
import { Inject, Injectable } from '@nestjs/common';
import type { PooledTcpClientOptions } from '../client/settings.js';
import { getPoolToken } from './tokens.js';

const OPTIONS_METADATA = 'pooled-tcp:client-options';

/**
 * Injects a pool declared with `PooledTcpModule.forRoot()` or `forRootAsync()`.
 *
 * @param name of the pool; `default` when left out
 * @example
 * ```ts
 * constructor(@InjectPool('orders') private readonly orders: PooledTcpClient) {}
 * ```
 */
export function InjectPool(name?: string): ParameterDecorator & PropertyDecorator {
  return Inject(getPoolToken(name));
}

/**
 * Declares a pool on a class that extends `PooledTcpClient` and is its own injection token.
 * Register it with `PooledTcpModule.forFeature([OrdersClient])`.
 *
 * @example
 * ```ts
 * @PooledClient({ name: 'orders', endpoints: ['10.0.0.1:4000'], pool: { min: 2, max: 10 } })
 * export class OrdersClient extends PooledTcpClient {}
 * ```
 */
export function PooledClient(options: PooledTcpClientOptions): ClassDecorator {
  return (target) => {
    Reflect.defineMetadata(OPTIONS_METADATA, options, target);
    Injectable()(target);
  };
}

/** What `@PooledClient()` declared on a class or on one it extends. */
export function declaredOptions(target: object): PooledTcpClientOptions | undefined {
  return Reflect.getMetadata(OPTIONS_METADATA, target) as PooledTcpClientOptions | undefined;
}
