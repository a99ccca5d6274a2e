/** What became of the pushes of a server, since start. */
export interface PushStats {
  /** Handed to the connection of a client, each client counted. */
  readonly sent: number;
  /** Dropped, because they would not fit into `push.maxPendingBytes`. */
  readonly dropped: number;
  /** Replaced by a later one while they waited (`latestOnly`). */
  readonly superseded: number;
  /** Clients disconnected, because they did not read (`disconnect`). */
  readonly disconnected: number;
  /** Bytes of pushes that wait now, for all clients; a push to a group counts once for each. */
  readonly pendingBytes: number;
}

/** Counts what became of pushes. Written by the sessions of one server. */
export class PushTally {
  sent = 0;
  dropped = 0;
  superseded = 0;
  disconnected = 0;

  stats(pendingBytes: number): PushStats {
    const { sent, dropped, superseded, disconnected } = this;
    return Object.freeze({ sent, dropped, superseded, disconnected, pendingBytes });
  }
}
