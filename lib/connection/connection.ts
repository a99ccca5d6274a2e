import type { Clock } from '../common/clock.js';
import { PooledTcpError, describeCause, withoutStack } from '../errors/pooled-tcp-error.js';
import { Output } from '../framing/output.js';
import type { MessageWriter } from '../protocol/messages.js';
import { Heartbeat, type HeartbeatPeer, type HeartbeatSettings } from './heartbeat.js';
import type { Transport, TransportEvents } from './transport.js';

/**
 * - `opening`: connected, the protocol is being agreed on
 * - `ready`: carries calls
 * - `draining`: carries the calls it has, takes no new ones
 * - `ending`: our side has ended; nothing more is written
 * - `closed`: for good
 */
export type ConnectionState = 'opening' | 'ready' | 'draining' | 'ending' | 'closed';

const TRANSITIONS: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  opening: ['ready', 'ending', 'closed'],
  ready: ['draining', 'ending', 'closed'],
  draining: ['ending', 'closed'],
  ending: ['closed'],
  closed: [],
};

/** The side that gives a connection its meaning: the client's calls, or the server's session. */
export interface ConnectionOwner {
  /** Takes received bytes, which are there during the call only. What it throws closes the connection. */
  receive(chunk: Buffer): void;
  /** The peer ended the stream; throws when that cut something short. */
  ended(): void;
  /** The heartbeat asks for a ping to be sent. */
  sendPing(token: number): void;
  /** The connection is closed, for this reason. Called once. */
  closed(reason: PooledTcpError): void;
}

export interface ConnectionOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly heartbeat: HeartbeatSettings | false;
  /** Bytes that may wait to be written before the peer counts as one that does not read. */
  readonly maxPendingWriteBytes: number;
}

type Written = (error?: PooledTcpError) => void;

/** Up to here bytes are copied for a socket that is behind, so that no slab is kept for them. */
const COPY_BELOW_BYTES = 16 * 1024;

/** Sources that can wait do so while this much waits to be written: enough to keep the kernel busy. */
const WRITABLE_BELOW_BYTES = 256 * 1024;

/**
 * One long connection, from either side: its state, its output, its heartbeat.
 *
 * Reading never depends on writing: whatever waits to be written, received bytes are always taken.
 * Two peers that stop reading while they wait to write lock each other for ever.
 */
export class Connection implements MessageWriter, HeartbeatPeer {
  readonly output = new Output();
  readonly heartbeat: Heartbeat;
  readonly #transport: Transport;
  readonly #owner: ConnectionOwner;
  readonly #maxPendingWriteBytes: number;
  #state: ConnectionState = 'opening';
  #isFlushScheduled = false;
  #flushes = 0;
  #awaitingFlush: Written[] | undefined;
  /** Bytes that streams and large messages keep back. */
  #heldBytes = 0;
  #awaitingRoom: (() => void)[] | undefined;

  constructor(options: ConnectionOptions, owner: ConnectionOwner) {
    this.#transport = options.transport;
    this.#owner = owner;
    this.#maxPendingWriteBytes = options.maxPendingWriteBytes;
    this.heartbeat = new Heartbeat(options.clock, options.heartbeat, this);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get peer(): string {
    return this.#transport.peer;
  }

  /** Bytes that wait to be written, here and in the socket. */
  get pendingBytes(): number {
    return this.output.length + this.#transport.pendingBytes;
  }

  /** Whether the socket keeps up with what is written. Nobody needs to wait for a closed one. */
  get isWritable(): boolean {
    return this.#state === 'closed' || this.pendingBytes < WRITABLE_BELOW_BYTES;
  }

  /** Calls back once it does again, or the connection is closed. */
  whenWritable(callback: () => void): void {
    if (this.isWritable) callback();
    else (this.#awaitingRoom ??= []).push(callback);
  }

  hold(bytes: number): void {
    const waiting = this.pendingBytes + this.#heldBytes;
    if (bytes > 0 && waiting + bytes > this.#maxPendingWriteBytes) {
      throw new PooledTcpError(
        'PTCP_WRITE_OVERFLOW',
        `${waiting} bytes wait for ${this.peer} already, and ${bytes} more would exceed maxPendingWriteBytes (${this.#maxPendingWriteBytes})`,
        { peer: this.peer },
      );
    }
    this.#heldBytes += bytes;
  }

  /** Number of the flush that bytes added now will leave with; see {@link hasLeft}. */
  get nextFlush(): number {
    return this.#flushes + 1;
  }

  /** Whether the bytes that were to leave with this flush have been given to the kernel. */
  hasLeft(flush: number): boolean {
    return flush <= this.#flushes;
  }

  /** Begins to receive. Separate from the constructor, because the owner needs the connection first. */
  start(): void {
    this.#transport.start(new Connection.#Events(this));
  }

  // What the heartbeat asks for.

  ping(token: number): void {
    this.#owner.sendPing(token);
  }

  silent(silentMs: number): void {
    const what = `${this.peer} sent nothing for ${Math.round(silentMs)} ms and did not answer a heartbeat`;
    this.destroy(new PooledTcpError('PTCP_HEARTBEAT_TIMEOUT', what, { peer: this.peer, elapsedMs: silentMs }));
  }

  /**
   * The protocol is agreed on: calls may begin.
   *
   * @param hasHeartbeat whether the peer answers heartbeats
   */
  ready(hasHeartbeat: boolean): boolean {
    if (!this.#move('ready')) return false;
    if (hasHeartbeat) this.heartbeat.start();
    return true;
  }

  /** No new calls; the owner ends the connection when the last has finished. */
  drain(): boolean {
    return this.#move('draining');
  }

  /** Sends what is pending, then ends. The peer's end, or {@link destroy}, closes it. */
  end(): void {
    this.flush();
    if (this.#move('ending')) this.#transport.end();
  }

  /** Closes at once. Harmless on a closed connection. */
  destroy(reason: PooledTcpError): void {
    this.#close(reason);
  }

  /** Bytes were added to the output: they leave together at the end of this tick. */
  schedule(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    process.nextTick(() => {
      this.flush();
    });
  }

  /** Calls back once everything in the output has been given to the kernel, or never will be. */
  whenWritten(callback: Written): void {
    if (this.output.length === 0) callback();
    else (this.#awaitingFlush ??= []).push(callback);
  }

  flush(): void {
    this.#isFlushScheduled = false;
    if (this.output.length === 0) return;
    if (this.#state === 'ending' || this.#state === 'closed') {
      this.output.take();
      this.output.forget();
      return;
    }
    // A socket that is behind keeps what it is given, and with it the slab: a peer that does not read, and is sent
    // little things, would cost a slab for each.
    const isCopied = this.#transport.pendingBytes > 0 && this.output.length < COPY_BELOW_BYTES;
    const parts = this.output.take();
    this.#transport.write(isCopied ? [Buffer.concat(parts)] : parts);
    this.#flushes += 1;
    if (isCopied || this.#transport.pendingBytes === 0) this.output.recycle();
    else this.output.forget();
    this.#settleWritten(undefined);
    // In a turn of their own: a source that never waits, and a peer that always takes, must not keep the loop to themselves.
    if (this.#awaitingRoom !== undefined)
      setImmediate(() => {
        this.#wakeWriters();
      });
    if (this.#transport.pendingBytes > this.#maxPendingWriteBytes) {
      this.destroy(
        new PooledTcpError(
          'PTCP_WRITE_OVERFLOW',
          `${this.peer} does not read: ${this.#transport.pendingBytes} bytes wait for it, more than maxPendingWriteBytes (${this.#maxPendingWriteBytes})`,
          { peer: this.peer, sent: true },
        ),
      );
    }
  }

  #onData(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    this.heartbeat.onRead();
    try {
      this.#owner.receive(chunk);
    } catch (error) {
      this.#close(asConnectionError(error, this.peer));
    }
  }

  #onEnd(): void {
    if (this.#state === 'closed') return;
    try {
      this.#owner.ended();
    } catch (error) {
      this.#close(asConnectionError(error, this.peer));
      return;
    }
    this.#close(this.#lost(undefined));
  }

  #lost(error: Error | undefined): PooledTcpError {
    const how = error === undefined ? 'closed the connection' : `connection failed: ${error.message}`;
    const { peer } = this;
    return withoutStack(() => new PooledTcpError('PTCP_CONNECTION_LOST', `${peer} ${how}`, { peer, cause: error }));
  }

  #close(reason: PooledTcpError): void {
    if (!this.#move('closed')) return;
    this.heartbeat.stop();
    this.#transport.destroy();
    this.output.take();
    this.output.forget();
    this.#settleWritten(reason);
    this.#owner.closed(reason);
    this.#wakeWriters();
  }

  #wakeWriters(): void {
    const callbacks = this.#awaitingRoom;
    if (callbacks === undefined || !this.isWritable) return;
    this.#awaitingRoom = undefined;
    for (const callback of callbacks) callback();
  }

  #settleWritten(error: PooledTcpError | undefined): void {
    const callbacks = this.#awaitingFlush;
    if (callbacks === undefined) return;
    this.#awaitingFlush = undefined;
    for (const callback of callbacks) callback(error);
  }

  #move(to: ConnectionState): boolean {
    if (!TRANSITIONS[this.#state].includes(to)) return false;
    this.#state = to;
    return true;
  }

  /** What the transport reports. A class, and no closures: those would be four for each connection. */
  static readonly #Events = class implements TransportEvents {
    readonly #connection: Connection;

    constructor(connection: Connection) {
      this.#connection = connection;
    }

    data(chunk: Buffer): void {
      this.#connection.#onData(chunk);
    }

    drain(): void {
      this.#connection.#wakeWriters();
    }

    end(): void {
      this.#connection.#onEnd();
    }

    close(error?: Error): void {
      const connection = this.#connection;
      connection.#close(connection.#lost(error));
    }
  };
}

function asConnectionError(error: unknown, peer: string): PooledTcpError {
  if (error instanceof PooledTcpError) {
    return new PooledTcpError(error.code, `${peer}: ${error.message}`, { peer, cause: error.cause, sent: error.sent });
  }
  return new PooledTcpError(
    'PTCP_PROTOCOL_VIOLATION',
    `${peer}: the received bytes could not be handled: ${describeCause(error)}`,
    { peer, cause: error },
  );
}
