import type { Payload } from '../payloads.js';

/** Called once: with an error, or with undefined and the reply. */
export type Done = (error: unknown, reply?: unknown) => void;

/** One call, ready to be repeated. */
export type Call = (done: Done) => void;

/** What a server process runs. */
export interface BenchServer {
  readonly port: number;
  /** Connections that the server has now; only where the contender takes part in the memory case. */
  connections?(): Promise<number>;
}

/** What a load generator's process runs. */
export interface BenchClient {
  echo(payload: Payload): Call;
  /** Asks for a reply of 4 MiB; only where the contender takes part in that case. */
  large?(form: 'text' | 'buffer'): Call;
  /**
   * Subscribes to an endless stream. `unread` leaves it after the first item without a pull and without a cancel;
   * undefined where the client has no such way to take a stream.
   */
  stream?(unread: boolean): Promise<void> | undefined;
  /** Connections open. */
  connections(): number;
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Address to listen on; {@link HOST} when left out. Only contenders of the mixed case need to know it. */
  readonly host?: string | undefined;
  /** Port of the contender's broker, where it has one. */
  readonly brokerPort?: number | undefined;
}

export interface ConnectOptions {
  /** As in {@link ListenOptions}. */
  readonly host?: string | undefined;
  readonly port: number;
  /** Connections to use; the contender's own default when left out. */
  readonly connections?: number | undefined;
}

/** One way to call another process. Both halves are in one module, and each process uses one of them. */
export interface Contender {
  listen(options: ListenOptions): Promise<BenchServer>;
  connect(options: ConnectOptions): Promise<BenchClient>;
  /** Opens so many connections and leaves them idle. */
  connectIdle?(port: number, count: number): Promise<void>;
}

export const HOST = '127.0.0.1';
