import type { OutboxStats } from '../ismg/outbox.js';
import type { Arrival } from '../sp/inbox.js';

/** What both processes tell the launcher. */
export type FromChild =
  | { readonly type: 'ready'; readonly address: string }
  | { readonly type: 'failed'; readonly message: string }
  /** SP: something was delivered. */
  | { readonly type: 'arrival'; readonly arrival: Arrival }
  /** Both ends of a link test have asked, and have been answered. */
  | { readonly type: 'link-tested' }
  /** ISMG: the answer to `report`. */
  | { readonly type: 'report'; readonly report: IsmgReport };

/** What the launcher asks of the ISMG. */
export type ToIsmg =
  | { readonly type: 'write'; readonly from: string; readonly to: string; readonly text: string }
  | { readonly type: 'report' };

export interface IsmgReport {
  /** Most CMPP_SUBMITs in flight on one connection. */
  readonly mostInFlight: number;
  /** The CMPP_DELIVERs for each SP. */
  readonly outboxes: Readonly<Record<string, OutboxStats>>;
}
