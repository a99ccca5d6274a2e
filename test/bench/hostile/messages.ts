/** What attackers and the server's process tell each other and the measurement. */
export type ToServer = { readonly kind: 'listen'; readonly lifted: boolean } | { readonly kind: 'stats' };

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
  | { readonly kind: 'attack'; readonly port: number; readonly connections: number }
  | { readonly kind: 'stats' }
  | { readonly kind: 'stop' };

export interface AttackFacts {
  /** Open at this moment. */
  readonly open: number;
  /** Opened so far. */
  readonly opened: number;
  readonly messages: number;
}
