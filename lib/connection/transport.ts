/** What a connection stands on: an open byte stream. `net` and `tls` sockets are adapted to it; tests use one in memory. */
export interface Transport {
  /** Address of the peer, for messages. */
  readonly peer: string;
  /** Bytes given to {@link write} that the kernel has not taken yet. */
  readonly pendingBytes: number;
  /** Begins to deliver events. Called once. */
  start(events: TransportEvents): void;
  /** Writes the parts in order, with one system call. */
  write(parts: readonly Buffer[]): void;
  /** Sends what is pending, then ends our side. */
  end(): void;
  /** Closes at once; {@link TransportEvents.close} follows. */
  destroy(): void;
}

export interface TransportEvents {
  /** Bytes arrived. They are there during the call and no longer: who keeps some of them copies them. */
  data(chunk: Buffer): void;
  /** The kernel has taken what was pending. */
  drain(): void;
  /** The peer ended its side. */
  end(): void;
  /** Nothing more will happen. */
  close(error?: Error): void;
}
