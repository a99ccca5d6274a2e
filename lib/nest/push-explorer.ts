import {
  Injectable,
  Logger,
  Module,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { Observer, Subscription } from 'rxjs';
import { conflict, refuse } from '../common/options.js';
import { describeCause } from '../errors/pooled-tcp-error.js';
import { pushHandlersOf, type PushHandlerMetadata } from './on-push.js';
import { PooledTcpClient } from './pooled-tcp-client.js';

type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** One method that is to be called with pushes. */
interface PushHandler extends PushHandlerMetadata {
  /** `Class.method`, for messages. */
  readonly name: string;
  readonly call: (data: unknown) => unknown;
}

/** Finds the methods with `@OnPush()` in the whole application and calls them until it shuts down. */
@Injectable()
export class PushExplorer implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  readonly #logger = new Logger('PooledTcpPushes');
  readonly #discovery: DiscoveryService;
  readonly #scanner: MetadataScanner;
  #subscriptions: Subscription[] = [];
  #begin: (() => void)[] = [];

  constructor(discovery: DiscoveryService, scanner: MetadataScanner) {
    this.#discovery = discovery;
    this.#scanner = scanner;
  }

  /**
   * Nest hook: no pool has connected yet, so nothing is missed that a server pushes unasked.
   *
   * @throws PooledTcpError `PTCP_OPTION_INVALID` for a pool that does not exist, `PTCP_OPTION_CONFLICT` for a
   * request-scoped provider
   */
  onModuleInit(): void {
    const wrappers = new Set([...this.#discovery.getProviders(), ...this.#discovery.getControllers()]);
    const pools = poolsOf(wrappers);
    for (const handler of [...wrappers].flatMap((wrapper) => this.#handlersOf(wrapper))) {
      const begin = this.#prepare(handler, pools);
      if (handler.options.subscribe === undefined) begin();
      else this.#begin.push(begin);
    }
  }

  /** Nest hook: the providers are ready, so pushes that have to be asked for are. */
  onApplicationBootstrap(): void {
    for (const begin of this.#begin) begin();
    this.#begin = [];
  }

  /** Nest hook: providers may close what their methods need from now on. */
  onModuleDestroy(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#subscriptions = [];
  }

  #handlersOf(wrapper: Wrapper): PushHandler[] {
    const { metatype } = wrapper;
    const instance: unknown = wrapper.instance;
    // With `useExisting` and factories the metatype is no class; what they made is.
    const prototype: unknown =
      typeof instance === 'object' && instance !== null
        ? Object.getPrototypeOf(instance)
        : (metatype as { prototype?: unknown } | null)?.prototype;
    if (typeof prototype !== 'object' || prototype === null || wrapper.isAlias) return [];
    return this.#scanner.getAllMethodNames(prototype).flatMap((method): PushHandler[] => {
      const implementation = (prototype as Record<string, unknown>)[method];
      if (typeof implementation !== 'function') return [];
      const handlers = pushHandlersOf(implementation);
      if (handlers.length === 0) return [];
      const name = `${wrapper.name}.${method}`;
      if (!wrapper.isDependencyTreeStatic())
        conflict(
          `${name} has @OnPush(), and ${wrapper.name} is request-scoped or transient, or depends on a provider that is; a push belongs to no request, so move the method to a provider with the default scope`,
        );
      return handlers.map((handler) => ({
        ...handler,
        name,
        call: (data) => implementation.call(instance, data) as unknown,
      }));
    });
  }

  #prepare(
    { pattern, pool, options, name, call }: PushHandler,
    pools: ReadonlyMap<string, PooledTcpClient>,
  ): () => void {
    const client = pools.get(pool);
    if (client === undefined)
      refuse(
        `pool of @OnPush() on ${name}`,
        pool,
        `one of the pools of this application (${[...pools.keys()].join(', ')})`,
      );
    const failed = (error: unknown): void => {
      this.#logger.error(
        `${name} failed with a push of ${JSON.stringify(pattern)}: ${describeCause(error)}`,
        error instanceof Error ? error.stack : undefined,
      );
    };
    const pushes = client.pushes(pattern, options);
    const observer: Partial<Observer<unknown>> = {
      next: (data) => {
        try {
          const outcome = call(data);
          if (outcome instanceof Promise) outcome.catch(failed);
        } catch (error) {
          failed(error);
        }
      },
      error: (error: unknown) => {
        this.#logger.error(
          `${name} gets no pushes of ${JSON.stringify(pattern)} any more: ${describeCause(error)}`,
          error instanceof Error ? error.stack : undefined,
        );
      },
    };
    return () => this.#subscriptions.push(pushes.subscribe(observer));
  }
}

function poolsOf(wrappers: Iterable<Wrapper>): Map<string, PooledTcpClient> {
  const pools = new Map<string, PooledTcpClient>();
  for (const { instance } of wrappers) {
    const provider: unknown = instance;
    if (provider instanceof PooledTcpClient) pools.set(provider.name, provider);
  }
  return pools;
}

/** One for an application, however many pools it has: Nest makes a module of its own only once. */
@Module({ imports: [DiscoveryModule], providers: [PushExplorer] })
export class PushModule {}
