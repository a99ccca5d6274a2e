import type { Clock, Timer } from '../common/clock.js';
import { Corruption } from './corruption.js';
import { changeFaults, NO_FAULTS, type FaultOptions, type FaultSettings } from './faults.js';

/** Where the bytes of a lane come from. */
export interface LaneSource {
  pause(): void;
  resume(): void;
}

/** Where the bytes of a lane go. */
export interface LaneSink {
  /** Calls back once the bytes have been taken, or never will be. Not before it returns. */
  write(bytes: Buffer, taken: () => void): void;
  end(): void;
  reset(): void;
}

export interface LaneOptions {
  readonly source: LaneSource;
  readonly sink: LaneSink;
  readonly clock: Clock;
  readonly random: () => number;
  /** Bytes that may be on their way before the source is paused. */
  readonly windowBytes: number;
  /** A limit says that both ends get a reset. */
  readonly onReset: () => void;
}

/** What is on its way, and the earliest time at which it may arrive. */
interface Item {
  readonly what: Buffer | 'end' | 'reset';
  readonly dueAt: number;
}

/** With a bandwidth, bytes pass in pieces of this much time. */
const PACE_MS = 10;

/**
 * One direction of a connection: bytes, the end of the stream and resets, in order, through the faults that are
 * set. One piece is written at a time and the next when the sink has taken it, so that a slow sink fills the
 * window and the window stops the source.
 */
export class Lane {
  readonly #options: LaneOptions;
  readonly #queue: Item[] = [];
  #faults: Readonly<FaultSettings> = NO_FAULTS;
  #corruption: Corruption | undefined;
  #timer: Timer | undefined;
  /** Bytes on their way. */
  #heldBytes = 0;
  #isPaused = false;
  #isWriting = false;
  /** Delivers nothing any more, for good. */
  #isSilent = false;
  #hasDeliveredEnd = false;
  /** With a bandwidth: when the bytes that have passed are paid for. */
  #paidUntil = -Infinity;
  #sinceLimitBytes = 0;
  #receivedBytes = 0;
  #deliveredBytes = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get faults(): Readonly<FaultSettings> {
    return this.#faults;
  }

  /** Bytes that came from the source. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Bytes that the sink was given. */
  get deliveredBytes(): number {
    return this.#deliveredBytes;
  }

  /** Bytes on their way. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Delivers nothing any more, for good. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  set(faults: FaultOptions): void {
    this.#faults = changeFaults(this.#faults, faults);
    const { corrupt, blackhole } = this.#faults;
    if (faults.corrupt !== undefined)
      this.#corruption = corrupt > 0 ? new Corruption(corrupt, this.#options.random) : undefined;
    if (faults.limit !== undefined) this.#sinceLimitBytes = 0;
    if (blackhole && this.#queue.length > 0) this.silence();
    this.#rearm();
  }

  /** Takes every fault back. A direction that has gone silent stays so. */
  heal(): void {
    this.set(NO_FAULTS);
  }

  // What the source does.

  receive(bytes: Buffer): void {
    this.#receivedBytes += bytes.length;
    if (bytes.length === 0 || this.#swallows()) return;
    this.#heldBytes += bytes.length;
    this.#push(bytes);
    if (this.#heldBytes > this.#options.windowBytes && !this.#isPaused) {
      this.#isPaused = true;
      this.#options.source.pause();
    }
  }

  sourceEnded(): void {
    if (!this.#swallows()) this.#push('end');
  }

  sourceReset(): void {
    if (!this.#swallows()) this.#push('reset');
  }

  // Faults that happen once.

  /** The receiver sees the end of the stream now; what is on its way, and what follows, is swallowed. */
  end(): void {
    if (this.#isSilent || this.#hasDeliveredEnd) return;
    this.silence();
    this.#options.sink.end();
  }

  /** Delivers nothing from now on. */
  silence(): void {
    this.#isSilent = true;
    this.#queue.length = 0;
    this.#heldBytes = 0;
    this.#stopTimer();
    this.#resumeSource();
  }

  #swallows(): boolean {
    if (this.#faults.blackhole) this.#isSilent = true;
    return this.#isSilent;
  }

  #push(what: Item['what']): void {
    const { clock, random } = this.#options;
    const { latencyMs, jitterMs } = this.#faults;
    // Never before what came earlier, which the queue sees to: a delay does not reorder a stream.
    this.#queue.push({ what, dueAt: clock.now() + latencyMs + (jitterMs > 0 ? jitterMs * random() : 0) });
    this.#pump();
  }

  /** Other faults may let the first pass earlier, or later. */
  #rearm(): void {
    this.#stopTimer();
    this.#pump();
  }

  #pump(): void {
    const [item] = this.#queue;
    if (item === undefined || this.#isWriting || this.#timer !== undefined || this.#faults.stall) return;
    const { clock } = this.#options;
    const isPaced = Buffer.isBuffer(item.what) && this.#faults.bytesPerSecond > 0;
    const waitMs = (isPaced ? Math.max(item.dueAt, this.#paidUntil) : item.dueAt) - clock.now();
    if (waitMs > 0) {
      this.#timer = clock.setTimeout(() => {
        this.#timer = undefined;
        this.#pump();
      }, Math.ceil(waitMs));
      return;
    }
    if (Buffer.isBuffer(item.what)) this.#deliver(item.what, item.dueAt);
    else this.#deliverEnd(item.what);
  }

  #deliver(bytes: Buffer, dueAt: number): void {
    const size = Math.min(bytes.length, this.#allowedBytes());
    if (size === 0) {
      this.#reachLimit();
      return;
    }
    if (size === bytes.length) this.#queue.shift();
    else this.#queue[0] = { what: bytes.subarray(size), dueAt };
    const piece = bytes.subarray(0, size);
    this.#pay(size);
    this.#deliveredBytes += size;
    this.#sinceLimitBytes += size;
    this.#isWriting = true;
    this.#options.sink.write(this.#corruption?.apply(piece) ?? piece, () => {
      this.#isWriting = false;
      this.#release(size);
      if (this.#isSilent) return;
      const { limit } = this.#faults;
      if (limit !== false && this.#sinceLimitBytes >= limit.afterBytes) this.#reachLimit();
      else this.#pump();
    });
  }

  /** How many bytes may be in the next piece. */
  #allowedBytes(): number {
    const { sliceBytes, bytesPerSecond, limit } = this.#faults;
    return Math.min(
      sliceBytes > 0 ? sliceBytes : Infinity,
      bytesPerSecond > 0 ? Math.max(1, Math.floor((bytesPerSecond * PACE_MS) / 1000)) : Infinity,
      limit === false ? Infinity : Math.max(0, limit.afterBytes - this.#sinceLimitBytes),
    );
  }

  #pay(size: number): void {
    const { bytesPerSecond } = this.#faults;
    if (bytesPerSecond > 0)
      this.#paidUntil = Math.max(this.#paidUntil, this.#options.clock.now()) + (size * 1000) / bytesPerSecond;
  }

  #reachLimit(): void {
    const { limit } = this.#faults;
    if (limit === false) return;
    if (limit.then === 'end') this.end();
    else this.#options.onReset();
  }

  #deliverEnd(what: 'end' | 'reset'): void {
    this.#queue.shift();
    this.#hasDeliveredEnd = true;
    if (what === 'end') this.#options.sink.end();
    else this.#options.sink.reset();
    this.#pump();
  }

  #release(size: number): void {
    this.#heldBytes = Math.max(0, this.#heldBytes - size);
    if (this.#heldBytes <= this.#options.windowBytes / 2) this.#resumeSource();
  }

  #resumeSource(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#options.source.resume();
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
