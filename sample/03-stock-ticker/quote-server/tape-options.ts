export const TAPE_OPTIONS = Symbol('TapeOptions');

export interface TapeOptions {
  /** Name of the server, for the screen. */
  readonly name: string;
  /** When the exchange opened: the same for all servers. */
  readonly epoch: number;
  /** Time between two prices of a symbol. */
  readonly tickMs: number;
  /** By how much this copy is behind the exchange. */
  readonly lagMs: number;
}

/** What a server says of itself to all its clients. */
export interface ServerStatus {
  readonly name: string;
  readonly address: string;
  readonly connections: number;
  readonly seq: number;
  readonly sent: number;
}
