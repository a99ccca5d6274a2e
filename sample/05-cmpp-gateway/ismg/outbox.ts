import { PooledTcpError } from '../../../lib/index.js';
import type { Deliver, DeliverResp } from '../cmpp/messages.js';
import { RESULT } from '../cmpp/results.js';

export interface OutboxOptions {
  /** W: unanswered CMPP_DELIVERs on one connection. */
  readonly window: number;
  /** T: time for an answer, in milliseconds. */
  readonly answerTimeoutMs: number;
  /** N: how often each is sent. */
  readonly attempts: number;
  /** As many wait for a connection or a window. */
  readonly maxWaiting: number;
  /** Told of one that cannot be sent at all. */
  readonly onUnsendable: (deliver: Deliver, error: unknown) => void;
}

/** What has become of the CMPP_DELIVERs for one SP. */
export interface OutboxStats {
  readonly connections: number;
  readonly waiting: number;
  readonly unanswered: number;
  /** Most that were unanswered on one connection. */
  readonly mostUnanswered: number;
  /** Answered with Result 0. */
  readonly delivered: number;
  /** Answered with another Result, never answered, or dropped because too many waited. */
  readonly failed: number;
}

interface Sent {
  readonly deliver: Deliver;
  attempts: number;
  timer: NodeJS.Timeout | undefined;
}

/** A connection of the SP, as its {@link Outbox} sees it. */
export class Line {
  readonly unanswered = new Map<bigint, Sent>();
  readonly send: (deliver: Deliver) => void;

  constructor(send: (deliver: Deliver) => void) {
    this.send = send;
  }
}

/**
 * The CMPP_DELIVERs for one SP, over any of its connections: at most W of them unanswered on each, sent again after T,
 * and given up after N times (CMPP 3.0, section 7.1). What a lost connection leaves unanswered goes to another.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lines = new Set<Line>();
  #waiting: Deliver[] = [];
  #mostUnanswered = 0;
  #delivered = 0;
  #failed = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get stats(): OutboxStats {
    return {
      connections: this.#lines.size,
      waiting: this.#waiting.length,
      unanswered: [...this.#lines].reduce((sum, { unanswered }) => sum + unanswered.size, 0),
      mostUnanswered: this.#mostUnanswered,
      delivered: this.#delivered,
      failed: this.#failed,
    };
  }

  add(deliver: Deliver): void {
    if (this.#waiting.length >= this.#options.maxWaiting) {
      this.#failed += 1;
      return;
    }
    this.#waiting.push(deliver);
    this.#sendWaiting();
  }

  /** @param send throws when the connection is lost */
  attach(send: (deliver: Deliver) => void): Line {
    const line = new Line(send);
    this.#lines.add(line);
    this.#sendWaiting();
    return line;
  }

  /** The connection is gone. */
  detach(line: Line): void {
    if (!this.#lines.delete(line)) return;
    const left = [...line.unanswered.values()];
    line.unanswered.clear();
    for (const { timer } of left) clearTimeout(timer);
    this.#waiting = [...left.map(({ deliver }) => deliver), ...this.#waiting];
    this.#sendWaiting();
  }

  answered(line: Line, { msgId, result }: DeliverResp): void {
    const sent = line.unanswered.get(msgId);
    // An answer to one that was sent twice.
    if (sent === undefined) return;
    clearTimeout(sent.timer);
    line.unanswered.delete(msgId);
    if (result === RESULT.ok) this.#delivered += 1;
    else this.#failed += 1;
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    for (;;) {
      const line = this.#freest();
      const deliver = line === undefined ? undefined : this.#waiting.shift();
      if (line === undefined || deliver === undefined) return;
      line.unanswered.set(deliver.msgId, { deliver, attempts: 0, timer: undefined });
      this.#mostUnanswered = Math.max(this.#mostUnanswered, line.unanswered.size);
      this.#send(line, deliver.msgId);
    }
  }

  /** The connection with the fewest unanswered, if its window is open. */
  #freest(): Line | undefined {
    const [line] = [...this.#lines].sort((a, b) => a.unanswered.size - b.unanswered.size);
    return line === undefined || line.unanswered.size >= this.#options.window ? undefined : line;
  }

  #send(line: Line, msgId: bigint): void {
    const sent = line.unanswered.get(msgId);
    if (sent === undefined) return;
    if (sent.attempts >= this.#options.attempts) {
      line.unanswered.delete(msgId);
      this.#failed += 1;
      this.#sendWaiting();
      return;
    }
    sent.attempts += 1;
    sent.timer = setTimeout(() => {
      this.#send(line, msgId);
    }, this.#options.answerTimeoutMs);
    sent.timer.unref();
    try {
      line.send(sent.deliver);
    } catch (error) {
      if (error instanceof PooledTcpError && error.code !== 'PTCP_PAYLOAD_UNSERIALIZABLE') {
        this.detach(line);
        return;
      }
      clearTimeout(sent.timer);
      line.unanswered.delete(msgId);
      this.#failed += 1;
      this.#options.onUnsendable(sent.deliver, error);
    }
  }
}
