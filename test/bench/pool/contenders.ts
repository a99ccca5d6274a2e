import { createPool as createGenericPool } from 'generic-pool';
import { Pool as LightningPool } from 'lightning-pool';
import { Pool as TarnPool } from 'tarn';
import { resolveOptions } from '../../../lib/common/options.js';
import { backoffRules } from '../../../lib/common/backoff.js';
import { systemClock } from '../../../lib/common/clock.js';
import type { Lease } from '../../../lib/pool/lease.js';
import { Pool } from '../../../lib/pool/pool.js';
import { poolRules } from '../../../lib/pool/settings.js';

/** What is pooled: something without behaviour, so that only the pool is measured. */
export interface Resource {
  readonly id: number;
}

/** One pool under measurement, behind the smallest common interface. */
export interface Contender {
  readonly name: string;
  acquire(): PromiseLike<unknown>;
  release(borrowed: unknown): void;
  /** Resources open. */
  size(): number;
  close(): Promise<void>;
}

export interface ContenderOptions {
  readonly min: number;
  readonly max: number;
  readonly create: () => Promise<Resource>;
}

export type ContenderFactory = (options: ContenderOptions) => Contender;

const ACQUIRE_TIMEOUT_MS = 60_000;

export const contenders: Readonly<Record<string, ContenderFactory>> = {
  'nestjs-pooled-tcp': ({ min, max, create }) => {
    const settings = resolveOptions(poolRules, {
      min,
      max,
      mode: 'exclusive',
      maxWaiters: 1_000_000,
      acquireTimeoutMs: ACQUIRE_TIMEOUT_MS,
    });
    const pool = new Pool<Resource>(
      { create, destroy: () => undefined },
      { label: 'bench', settings, backoff: resolveOptions(backoffRules, {}), clock: systemClock },
    );
    return {
      name: 'nestjs-pooled-tcp',
      acquire: () => pool.acquire(),
      release: (lease) => {
        (lease as Lease<Resource>).release();
      },
      size: () => pool.size,
      close: () => pool.close(),
    };
  },
  tarn: ({ min, max, create }) => {
    const pool = new TarnPool<Resource>({
      create,
      destroy: () => undefined,
      min,
      max,
      acquireTimeoutMillis: ACQUIRE_TIMEOUT_MS,
    });
    return {
      name: 'tarn',
      acquire: () => pool.acquire().promise,
      release: (resource) => {
        pool.release(resource as Resource);
      },
      size: () => pool.numFree() + pool.numUsed(),
      close: async () => {
        await pool.destroy();
      },
    };
  },
  'generic-pool': ({ min, max, create }) => {
    const pool = createGenericPool<Resource>(
      { create, destroy: () => Promise.resolve() },
      { min, max, acquireTimeoutMillis: ACQUIRE_TIMEOUT_MS },
    );
    return {
      name: 'generic-pool',
      acquire: () => pool.acquire(),
      release: (resource) => {
        void pool.release(resource as Resource);
      },
      size: () => pool.size,
      close: async () => {
        await pool.drain();
        await pool.clear();
      },
    };
  },
  'lightning-pool': ({ min, max, create }) => {
    const pool = new LightningPool<Resource>(
      { create, destroy: () => undefined },
      { min, max, acquireTimeoutMillis: ACQUIRE_TIMEOUT_MS, maxQueue: 1_000_000 },
    );
    return {
      name: 'lightning-pool',
      acquire: () => pool.acquire(),
      release: (resource) => {
        pool.release(resource as Resource);
      },
      size: () => pool.size,
      close: () => pool.closeAsync(),
    };
  },
};
