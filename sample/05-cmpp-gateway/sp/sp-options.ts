import type { SpPoolOptions } from './sp-pool.js';

export const SP_OPTIONS = Symbol('SP_OPTIONS');

export interface SpOptions extends Omit<SpPoolOptions, 'onDeliver'> {
  /** What handsets show as the sender: the SP's number, or a longer one that begins with it. */
  readonly srcId: string;
}
