import type { Transport, TransportEvents } from '../../lib/connection/transport.js';

/**
 * One end of a byte stream in memory. It behaves as a socket does: bytes arrive a turn later, a kernel that
 * takes nothing leaves them pending (and still reads from the caller's buffers), events end with `close`.
 */
export class MemoryTransport implements Transport {
  readonly peer: string;
  /** What each write carried: one entry is one system call. */
  readonly writes: Buffer[] = [];
  #other: MemoryTransport | undefined;
  #events: TransportEvents | undefined;
  /** Events that came before {@link start}. */
  #early: ((events: TransportEvents) => void)[] = [];
  #pending: Buffer[] = [];
  #isPaused = false;
  #isEnding = false;
  #hasEnded = false;
  #isDestroyed = false;
  /** By the other side, or by the network. */
  #isBroken = false;
  #peerHasEnded = false;

  constructor(peer: string) {
    this.peer = peer;
  }

  /** Two ends that are connected with each other. */
  static pair(serverAddress = 'server:4000', clientAddress = 'client:50000'): [MemoryTransport, MemoryTransport] {
    const client = new MemoryTransport(serverAddress);
    const server = new MemoryTransport(clientAddress);
    client.#other = server;
    server.#other = client;
    return [client, server];
  }

  get pendingBytes(): number {
    return this.#pending.reduce((sum, { length }) => sum + length, 0);
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  /** Whether `end()` was called. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  get bytesWritten(): number {
    return this.writes.reduce((sum, { length }) => sum + length, 0);
  }

  start(events: TransportEvents): void {
    if (this.#events !== undefined) throw new Error('memory transport: started twice');
    this.#events = events;
    for (const event of this.#early) event(events);
    this.#early = [];
  }

  write(parts: readonly Buffer[]): void {
    // As a socket that was reset and has not said so yet: what is written is lost.
    if (this.#isBroken) return;
    if (this.#isDestroyed || this.#isEnding) throw new Error('memory transport: write after end');
    this.writes.push(Buffer.concat(parts));
    this.#pending.push(...parts);
    this.#drain();
  }

  end(): void {
    this.#isEnding = true;
    this.#drain();
  }

  destroy(): void {
    this.#close(undefined);
  }

  // What a test does to it.

  /** The kernel takes no more bytes: they stay pending. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#drain();
    this.#emit((events) => {
      events.drain();
    });
  }

  /** The connection breaks, as by a reset. */
  fail(error: Error): void {
    this.#isBroken = !this.#isDestroyed;
    this.#close(error);
  }

  /** Bytes arrive, as if the peer had written them. */
  deliver(bytes: Buffer): void {
    const chunk = Buffer.from(bytes);
    this.#emit((events) => {
      if (!this.#isDestroyed) events.data(chunk);
      // A socket reads the next bytes to the same place.
      chunk.fill(0xdb);
    });
  }

  /** The peer ends its side. */
  deliverEnd(): void {
    if (this.#peerHasEnded) return;
    this.#peerHasEnded = true;
    this.#emit((events) => {
      if (!this.#isDestroyed) events.end();
    });
  }

  #drain(): void {
    if (this.#isPaused || this.#isDestroyed) return;
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    if (bytes.length > 0) this.#other?.deliver(bytes);
    if (!this.#isEnding || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#other?.deliverEnd();
  }

  #close(error: Error | undefined): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.#pending = [];
    this.#emit((events) => {
      events.close(error);
    });
    this.#other?.deliverEnd();
  }

  #emit(event: (events: TransportEvents) => void): void {
    setImmediate(() => {
      if (this.#events === undefined) this.#early.push(event);
      else event(this.#events);
    });
  }
}
