import type { Clock, Timer } from '../common/clock.js';
import { wasFrozen } from '../common/frozen.js';
import { duration, integer, type OptionRules, type OptionsOf } from '../common/options.js';

export interface HeartbeatSettings {
  /** Silence, since the last byte read, before the peer is asked. Default 30 000 ms. */
  intervalMs: number;
  /** How long the peer has to answer. Default 10 000 ms. */
  timeoutMs: number;
  /** How often it is asked before it counts as dead. Default 1. */
  attempts: number;
}

/**
 * The schedule of China Mobile's CMPP 3.0 and its kin: asked after 3 minutes of silence (C), again every 60 s (T), and
 * given up after 3 questions without an answer (N).
 */
export const CMPP_HEARTBEAT: Readonly<HeartbeatSettings> = Object.freeze({
  intervalMs: 180_000,
  timeoutMs: 60_000,
  attempts: 3,
});

export type HeartbeatOptions = OptionsOf<HeartbeatSettings>;

export const heartbeatRules: OptionRules<HeartbeatSettings> = {
  intervalMs: duration({
    default: 30_000,
    min: 1,
    text: 'Silence, since the last byte read, before the peer is asked for a sign of life.',
  }),
  timeoutMs: duration({
    default: 10_000,
    min: 1,
    text: 'How long the peer has to answer; then it is asked again, or the connection is destroyed.',
  }),
  attempts: integer({
    default: 1,
    min: 1,
    max: 100,
    text: 'How often a silent peer is asked, `timeoutMs` apart, before the connection is destroyed. On TCP one question is enough: what is lost is sent again by the kernel. Some protocols prescribe more.',
  }),
};

/** What a heartbeat needs of its connection. */
export interface HeartbeatPeer {
  ping(token: number): void;
  /** Nothing was read although an answer was due. */
  silent(silentMs: number): void;
}

/** One `probe()` that waits for a sign of life. */
interface Probe {
  resolve(): void;
}

/**
 * Watches that a peer is alive. Any byte read is a sign of life, so a busy connection is never pinged, and
 * there is one timer, which is not touched by reads.
 */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #settings: HeartbeatSettings | false;
  readonly #peer: HeartbeatPeer;
  #timer: Timer | undefined;
  /** When the timer should fire. */
  #dueAt = 0;
  #lastReadAt: number;
  /** When the unanswered ping was sent. */
  #pingedAt: number | undefined;
  #token = 0;
  /** Questions since the last sign of life. */
  #asked = 0;
  #probes: Probe[] = [];
  #roundTripMs: number | undefined;

  constructor(clock: Clock, settings: HeartbeatSettings | false, peer: HeartbeatPeer) {
    this.#clock = clock;
    this.#settings = settings;
    this.#peer = peer;
    this.#lastReadAt = clock.now();
  }

  /** Round trip of the last heartbeat in milliseconds, once one was answered. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** When the last byte was read, on the connection's clock. */
  get lastReadAt(): number {
    return this.#lastReadAt;
  }

  start(): void {
    if (this.#settings !== false) this.#arm(this.#settings.intervalMs);
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#probes = [];
  }

  /** Bytes arrived. */
  onRead(): void {
    this.#lastReadAt = this.#clock.now();
    if (this.#probes.length === 0) return;
    const probes = this.#probes;
    this.#probes = [];
    for (const probe of probes) probe.resolve();
  }

  onPong(token: number): void {
    if (token !== this.#token || this.#pingedAt === undefined) return;
    this.#roundTripMs = this.#clock.now() - this.#pingedAt;
    this.#pingedAt = undefined;
  }

  /** Resolves with the next sign of life; the caller sets the deadline. Never rejects: a dead connection closes. */
  probe(): Promise<void> {
    return new Promise((resolve) => {
      this.#probes.push({ resolve });
      if (this.#probes.length === 1) this.#ping();
    });
  }

  #ping(): void {
    this.#pingedAt = this.#clock.now();
    this.#token = (this.#token + 1) >>> 0;
    this.#peer.ping(this.#token);
  }

  #arm(delayMs: number): void {
    this.#dueAt = this.#clock.now() + delayMs;
    this.#timer = this.#clock.setTimeout(() => {
      this.#onTimer();
    }, delayMs);
  }

  #onTimer(): void {
    if (this.#settings === false) return;
    const { intervalMs, timeoutMs, attempts } = this.#settings;
    const now = this.#clock.now();
    const silentMs = now - this.#lastReadAt;
    const awaited = this.#pingedAt !== undefined && this.#pingedAt > this.#lastReadAt;
    if (!awaited && silentMs < intervalMs) {
      this.#arm(intervalMs - silentMs);
      return;
    }
    // A timer that fires late means this process did not run: the answer may lie unread in the kernel, or the
    // ping may never have left. The peer gets its full time again, counted from now.
    const isLate = wasFrozen(now - this.#dueAt, timeoutMs);
    const isOver = awaited && !isLate && now - (this.#pingedAt ?? now) >= timeoutMs;
    if (isOver && this.#asked >= attempts) {
      this.#peer.silent(silentMs);
      return;
    }
    if (!awaited) this.#asked = 0;
    if (!awaited || isOver) this.#asked += 1;
    if (!awaited || isLate || isOver) this.#ping();
    this.#arm(timeoutMs - (now - (this.#pingedAt ?? now)));
  }
}
