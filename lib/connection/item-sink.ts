/** Where the values of one stream go: the answers of a call, or what a client streams to one. */
export interface ItemSink {
  /** Whether the next value would leave at once; a source that can wait should, until {@link whenWritable}. */
  readonly isWritable: boolean;
  /** Resolves when the peer has made room, or the stream is over. */
  whenWritable(): Promise<void>;
  /** One value. Beyond what the peer takes it is kept, up to `maxPendingWriteBytes` for the connection. */
  item(data: unknown): void;
  /** No further value. */
  complete(): void;
  /** The source has failed. */
  fail(error: unknown): void;
}
