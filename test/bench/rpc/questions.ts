import type { ColdOrder } from './cold.js';
import type { ConnectOptions, ListenOptions } from './contenders/contender.js';
import type { LoadResult } from './load.js';
import type { Reader } from './slow-reader.js';

/** What the orchestrator asks a child process, and what it answers. */
export interface Questions {
  /** Start the contender's server. */
  listen: { asked: ListenOptions; answer: { port: number } };
  /** The same with TLS; ours only. */
  listenTls: { asked: object; answer: { port: number } };
  /** Open the contender's client, instead of the one before. */
  connect: { asked: ConnectOptions; answer: object };
  /** One echo, compared with what was sent. */
  verify: { asked: { payload: string }; answer: { problem?: string | undefined } };
  /** Echoes for a while. */
  load: { asked: LoadQuestion; answer: LoadResult };
  /** So many echoes of 16 KiB at once. */
  flood: { asked: { calls: number; limitMs: number }; answer: { answered: number; ms: number } };
  /** Open so many connections and leave them idle. */
  idle: { asked: { port: number; count: number }; answer: object };
  /** Subscribe to an endless stream, and wait for its first item. */
  stream: { asked: { reader: Reader }; answer: { isStreaming: boolean } };
  /** How many connections the server has. */
  openConnections: { asked: object; answer: { count: number } };
  /** Boot, and make the first hundred calls. */
  cold: { asked: ColdQuestion; answer: ColdResult };
  /** What this process has used so far. */
  sample: { asked: { collect?: boolean }; answer: ProcessSample };
  profileStart: { asked: object; answer: object };
  /** Stops the profile and writes it to a file. */
  profileStop: { asked: { file: string }; answer: object };
}

export interface LoadQuestion {
  readonly payload: string;
  readonly inFlight: number;
  /** Begin so many a second, instead of the next with each answer; `inFlight` then means nothing. */
  readonly callsPerSecond?: number | undefined;
  readonly durationMs: number;
  /** Without an answer for so long, it will never complete. */
  readonly stallMs: number;
  /** One call in a hundred asks for 4 MiB. */
  readonly large?: 'text' | 'buffer' | undefined;
}

export interface ColdQuestion {
  readonly port: number;
  readonly tls: boolean;
  readonly prewarm: 'required' | false;
  readonly order: ColdOrder;
}

export interface ColdResult {
  /** Milliseconds of the first hundred calls. */
  readonly first: Latency;
  /** Of a hundred such calls later on. */
  readonly steady: Latency;
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface ProcessSample {
  /** CPU since the start of the process, in microseconds. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
  /** Heap in use, and buffers outside of it. */
  readonly usedBytes: number;
}

export type Kind = keyof Questions;
