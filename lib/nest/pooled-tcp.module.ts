import {
  Module,
  type DynamicModule,
  type InjectionToken,
  type ModuleMetadata,
  type OptionalFactoryDependency,
  type Provider,
  type Type,
} from '@nestjs/common';
import type { PooledTcpClientOptions } from '../client/settings.js';
import { conflict } from '../common/options.js';
import { declaredOptions } from './decorators.js';
import { PooledTcpClient } from './pooled-tcp-client.js';
import { PushModule } from './push-explorer.js';
import { DEFAULT_POOL_NAME, getPoolToken } from './tokens.js';

/** Options of {@link PooledTcpModule.forRoot}. */
export interface PooledTcpModuleOptions extends PooledTcpClientOptions {
  /** Whether the pool can be injected in every module. Default true. */
  readonly isGlobal?: boolean | undefined;
}

/** A class that makes options, for `useClass` and `useExisting`. */
export interface PooledTcpOptionsFactory {
  createPooledTcpOptions(): PooledTcpClientOptions | Promise<PooledTcpClientOptions>;
}

/** Options of {@link PooledTcpModule.forRootAsync}; one of `useFactory`, `useClass` and `useExisting` is required. */
export interface PooledTcpModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** Name of the pool. Default `default`. */
  readonly name?: string | undefined;
  /** Whether the pool can be injected in every module. Default true. */
  readonly isGlobal?: boolean | undefined;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what is injected is known to the user only
  readonly useFactory?: ((...args: any[]) => PooledTcpClientOptions | Promise<PooledTcpClientOptions>) | undefined;
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[] | undefined;
  readonly useClass?: Type<PooledTcpOptionsFactory> | undefined;
  readonly useExisting?: InjectionToken<PooledTcpOptionsFactory> | undefined;
}

/**
 * Pools for a Nest application. Each pool is opened before the application takes traffic, and drained when it
 * shuts down (on a signal, call `app.enableShutdownHooks()`).
 *
 * @example
 * ```ts
 * @Module({ imports: [PooledTcpModule.forRoot({ name: 'orders', endpoints: ['10.0.0.1:4000'] })] })
 * export class AppModule {}
 * ```
 */
@Module({})
export class PooledTcpModule {
  /** One pool; call it once for each. Bad options fail the start of the application. */
  static forRoot({ isGlobal = true, ...options }: PooledTcpModuleOptions): DynamicModule {
    return poolModule(options.name, isGlobal, [], {
      provide: getPoolToken(options.name),
      useFactory: () => new PooledTcpClient(options),
    });
  }

  /** One pool whose options are made by a factory, a class, or an existing provider. */
  static forRootAsync({ name, isGlobal = true, imports = [], ...source }: PooledTcpModuleAsyncOptions): DynamicModule {
    const { useFactory, useClass, useExisting, inject = [] } = source;
    const create = (options: PooledTcpClientOptions): PooledTcpClient => {
      if (options.name !== undefined && options.name !== (name ?? DEFAULT_POOL_NAME)) {
        conflict(
          `forRootAsync({ name: '${name ?? DEFAULT_POOL_NAME}' }) got options with the name '${options.name}'; leave it out there`,
        );
      }
      return new PooledTcpClient({ ...options, name });
    };
    const provide = getPoolToken(name);
    if (useFactory !== undefined) {
      return poolModule(name, isGlobal, imports, {
        provide,
        inject,
        useFactory: async (...args: unknown[]) => create(await useFactory(...args)),
      });
    }
    const factory: InjectionToken<PooledTcpOptionsFactory> | undefined = useClass ?? useExisting;
    if (factory === undefined) return conflict('forRootAsync() needs one of useFactory, useClass and useExisting');
    const pool: Provider = {
      provide,
      inject: [factory],
      useFactory: async (maker: PooledTcpOptionsFactory) => create(await maker.createPooledTcpOptions()),
    };
    return poolModule(name, isGlobal, imports, pool, useClass === undefined ? [] : [useClass]);
  }

  /** Pools declared with `@PooledClient()`; each class is its own injection token. */
  static forFeature(clients: readonly Type<PooledTcpClient>[]): DynamicModule {
    const providers = clients.flatMap((client): Provider[] => {
      const options = declaredOptions(client);
      if (options === undefined) conflict(`${client.name} is not decorated with @PooledClient({ … })`);
      return [client, { provide: getPoolToken(options.name), useExisting: client }];
    });
    return { module: PooledTcpModule, imports: [PushModule], providers, exports: providers };
  }
}

function poolModule(
  name: string | undefined,
  isGlobal: boolean,
  imports: NonNullable<ModuleMetadata['imports']>,
  pool: Provider & { provide: InjectionToken },
  helpers: Provider[] = [],
): DynamicModule {
  // The default pool can also be injected by its class.
  const alias: Provider[] =
    (name ?? DEFAULT_POOL_NAME) === DEFAULT_POOL_NAME ? [{ provide: PooledTcpClient, useExisting: pool.provide }] : [];
  const exported = [pool, ...alias];
  return {
    module: PooledTcpModule,
    global: isGlobal,
    imports: [PushModule, ...imports],
    providers: [...helpers, ...exported],
    exports: exported,
  };
}
