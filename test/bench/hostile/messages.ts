/** What attackers and the server's process tell each other and the measurement. */
/**
 * Whom they attack: our server with its defaults, with no limit of connections, or a `net.Server` that does nothing
 * but take connections, echo to honest ones and throw away what the others send: what Node itself takes for it.
 */
export const TARGETS = ['defaults', 'no limit of connections', 'bare net'] as const;
export type Target = (typeof TARGETS)[number];

export type ToServer = { readonly kind: 'listen'; readonly target: Target } | { readonly kind: 'stats' };

export interface ServerFacts {
  readonly port: number;
  readonly connections: number;
  readonly refused: number;
  readonly accepted: number;
  readonly rssMiB: number;
  /** Since the start of the process, in milliseconds. */
  readonly cpuMs: number;
  /** Of the event loop since the last question, its sampling of 1 ms included, and the longest garbage collection. */
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
  readonly longestGcMs: number;
  /** Handlers of attackers that run. */
  readonly inFlight: number;
}

export type ToAttackers =
  | { readonly kind: 'attack'; readonly port: number; readonly connections: number; readonly dialsPerSecond: number }
  | { readonly kind: 'stats' }
  | { readonly kind: 'stop' };

export interface AttackFacts {
  /** Open at this moment. */
  readonly open: number;
  /** Opened so far. */
  readonly opened: number;
  readonly messages: number;
}
