import type { Way } from '../ways.js';

/** Where the caller finds the server. */
export interface Place {
  readonly port: number;
  readonly isTls: boolean;
}

/** How much is asked of it. */
export type Load =
  /** So many calls a second, whether or not the one before has been answered. */
  | { readonly kind: 'few'; readonly perSecond: number; readonly seconds: number }
  /** So many callers, each of which asks again as soon as it has its answer. */
  | { readonly kind: 'many'; readonly callers: number; readonly seconds: number };

/** What the caller is asked to do. */
export interface Task {
  readonly way: Way;
  readonly place: Place;
  readonly load: Load;
}

/** What the caller measured. */
export interface CallerReport {
  readonly calls: number;
  readonly failed: number;
  /** The first failure, where there was one. */
  readonly error: string | undefined;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Connections opened, those of the prewarm included. */
  readonly connects: number;
  /** Local ports that it holds in TIME_WAIT after the last call. */
  readonly timeWait: number;
  readonly cpuMs: number;
}

/** What the server is asked: to begin, once nobody is connected any more, and what it has measured since. */
export interface ServerQuestion {
  readonly ask: 'begin' | 'report';
}

/** What the server measured since it was asked last. */
export interface ServerReport {
  /** Most connections that were open at a time. */
  readonly mostOpen: number;
  readonly cpuMs: number;
}

/** Where the server listens. */
export interface ServerPorts {
  readonly plainPort: number;
  readonly tlsPort: number;
}
