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

/** One `probe()` that waits for the answer to its question. */
interface Probe {
  /** Of the ping that asked. */
  readonly token: number;
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
  /** Of the ping that {@link #pingedAt} is about. */
  #timedToken = 0;
  /** Questions since the last sign of life. */
  #asked = 0;
  /** In the order of their tokens. */
  #probes: Probe[] | undefined;
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
    this.#probes = undefined;
  }

  /** Bytes arrived. */
  onRead(): void {
    this.#lastReadAt = this.#clock.now();
  }

  /** Called from `ping`: the question cannot be put now, and has not been. */
  postpone(): void {
    this.#pingedAt = undefined;
  }

  onPong(token: number): void {
    this.#answer(token);
    if (token !== this.#timedToken || this.#pingedAt === undefined) return;
    this.#roundTripMs = this.#clock.now() - this.#pingedAt;
    this.#pingedAt = undefined;
  }

  /**
   * Resolves once the peer has answered a ping that is sent now; the caller sets the deadline. Never rejects: a dead
   * connection closes. Other bytes are no answer, and neither is that to an earlier ping: a peer that has died since
   * may have sent them before, and the kernel hands them out when it likes.
   */
  probe(): Promise<void> {
    return new Promise((resolve) => {
      // An open question keeps its time: who asks again and again must not put off the end of a dead connection.
      this.#ping(!this.#isAwaited);
      (this.#probes ??= []).push({ token: this.#token, resolve });
    });
  }

  /** Answers come in the order of the questions, and one for the last of them stands for all before it. */
  #answer(token: number): void {
    const probes = this.#probes;
    // The stock wire has its tokens from JSON: anything may be there.
    if (probes === undefined || token !== token >>> 0 || !isUpTo(token, this.#token)) return;
    const open = probes.findIndex((probe) => !isUpTo(probe.token, token));
    this.#probes = open < 0 ? undefined : probes.slice(open);
    for (const probe of open < 0 ? probes : probes.slice(0, open)) probe.resolve();
  }

  /** Whether a ping has been followed by silence. */
  get #isAwaited(): boolean {
    return this.#pingedAt !== undefined && this.#pingedAt > this.#lastReadAt;
  }

  #ping(isTimed: boolean): void {
    this.#token = (this.#token + 1) >>> 0;
    if (isTimed) {
      this.#pingedAt = this.#clock.now();
      this.#timedToken = this.#token;
    }
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
    const awaited = this.#isAwaited;
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
    if (!awaited || isLate || isOver) this.#ping(true);
    this.#arm(timeoutMs - (now - (this.#pingedAt ?? now)));
  }
}

/** Whether the token is not later than the other; they wrap around after 32 bits. */
function isUpTo(token: number, other: number): boolean {
  return ((other - token) | 0) >= 0;
}
