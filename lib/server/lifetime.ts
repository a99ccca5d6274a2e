import type { Clock, Timer } from '../common/clock.js';
import { wasFrozen } from '../common/frozen.js';
import type { ServerSettings } from './settings.js';

/** How long a peer that is told why it is closed has to read it. */
const FAREWELL_MS = 1_000;

/** What a lifetime sees of its session, and what it decides about it. */
export interface Mortal {
  readonly lastReadAt: number;
  readonly inFlight: number;
  /** The first frame, or the answer of `authenticate`, did not come in time. */
  late(timeoutMs: number): void;
  /** Nothing was read for so long. */
  idle(idleMs: number): void;
  /** It is time to go, once the calls in flight are over. */
  retire(reason: string): void;
  /** It was asked to go, and did not. */
  overdue(timeoutMs: number): void;
}

/**
 * The time limits of one session. A timer for each that is switched on, moved only when it fires: traffic costs a time
 * stamp and no more.
 */
export class Lifetime {
  readonly #settings: ServerSettings;
  readonly #clock: Clock;
  readonly #session: Mortal;
  #firstFrame: Timer | undefined;
  #idle: Timer | undefined;
  #age: Timer | undefined;
  #unused: Timer | undefined;
  #drained: Timer | undefined;
  #farewell: Timer | undefined;
  #lastUsedAt = 0;

  constructor(settings: ServerSettings, clock: Clock, session: Mortal) {
    this.#settings = settings;
    this.#clock = clock;
    this.#session = session;
  }

  /** The peer has been told why, and is not listened to any more. */
  get isOver(): boolean {
    return this.#farewell !== undefined;
  }

  /** The connection is there, and nothing has been said on it. */
  begin(): void {
    const { firstFrameTimeoutMs } = this.#settings;
    if (firstFrameTimeoutMs === 0) return;
    this.#firstFrame = this.#clock.setTimeout(() => {
      this.#session.late(firstFrameTimeoutMs);
    }, firstFrameTimeoutMs);
  }

  /** It carries calls from now on. @param random from 0 to 1 */
  ready(random: number): void {
    const { idleTimeoutMs, maxConnectionAgeMs, unusedTimeoutMs } = this.#settings;
    this.#clear(this.#firstFrame);
    this.#firstFrame = undefined;
    this.used();
    if (idleTimeoutMs > 0) this.#watchIdle(idleTimeoutMs);
    if (unusedTimeoutMs > 0) this.#watchUnused(unusedTimeoutMs);
    if (maxConnectionAgeMs > 0) this.#watchAge(maxConnectionAgeMs, random);
  }

  /** It has carried a call, an event or a push. */
  used(): void {
    if (this.#settings.unusedTimeoutMs > 0) this.#lastUsedAt = this.#clock.now();
  }

  /** It was asked to go, and nothing is in flight: the rest is up to the client, for as long as a drain may take. */
  drained(): void {
    const { drainTimeoutMs } = this.#settings;
    this.#drained ??= this.#clock.setTimeout(() => {
      this.#session.overdue(drainTimeoutMs);
    }, drainTimeoutMs);
  }

  /** The peer is told why it is closed; then it is closed. */
  farewell(close: () => void): void {
    this.#farewell ??= this.#clock.setTimeout(close, FAREWELL_MS);
  }

  end(): void {
    for (const timer of [this.#firstFrame, this.#idle, this.#age, this.#unused, this.#drained, this.#farewell])
      this.#clear(timer);
  }

  /** Without the random part, connections that were opened together would all come back together. */
  #watchAge(maxAgeMs: number, random: number): void {
    this.#age = this.#clock.setTimeout(
      () => {
        this.#session.retire(`the connection has reached maxConnectionAgeMs (${maxAgeMs})`);
      },
      Math.ceil(maxAgeMs * (1 - 0.1 * random)),
    );
  }

  #watchIdle(delayMs: number): void {
    const dueAt = this.#clock.now() + delayMs;
    this.#idle = this.#clock.setTimeout(() => {
      const { idleTimeoutMs } = this.#settings;
      const now = this.#clock.now();
      const idleMs = now - this.#session.lastReadAt;
      if (this.#session.inFlight > 0 || wasFrozen(now - dueAt, delayMs)) this.#watchIdle(idleTimeoutMs);
      else if (idleMs < idleTimeoutMs) this.#watchIdle(idleTimeoutMs - idleMs);
      else this.#session.idle(idleMs);
    }, delayMs);
  }

  #watchUnused(delayMs: number): void {
    const dueAt = this.#clock.now() + delayMs;
    this.#unused = this.#clock.setTimeout(() => {
      const { unusedTimeoutMs } = this.#settings;
      const now = this.#clock.now();
      const unusedMs = now - this.#lastUsedAt;
      if (this.#session.inFlight > 0 || wasFrozen(now - dueAt, delayMs)) this.#watchUnused(unusedTimeoutMs);
      else if (unusedMs < unusedTimeoutMs) this.#watchUnused(unusedTimeoutMs - unusedMs);
      else this.#session.retire(`the connection carried no call for ${Math.round(unusedMs)} ms`);
    }, delayMs);
  }

  #clear(timer: Timer | undefined): void {
    if (timer !== undefined) this.#clock.clearTimeout(timer);
  }
}
