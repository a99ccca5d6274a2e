import type { SpAccount } from '../cmpp/login.js';

export const ISMG_OPTIONS = Symbol('ISMG_OPTIONS');

export interface IsmgOptions {
  /** The SPs that may log in, each with the number that handsets write to. */
  readonly accounts: readonly (SpAccount & { readonly accessNumber: string })[];
  /** How long a message is on its way to a handset, in milliseconds. */
  readonly handsetMs: number;
  /** T for CMPP_DELIVER; default: the specification's 60 s. */
  readonly answerTimeoutMs?: number | undefined;
}
