import { Alarm } from '../common/alarm.js';
import type { Clock } from '../common/clock.js';
import { LinkedList, type Linked } from '../common/linked-list.js';

/** A call that may run out of time. */
export interface TimedCall extends Linked<TimedCall> {
  readonly startedAt: number;
  readonly timeoutMs: number;
  onDeadline(): void;
}

/** Calls with one timeout, in the order in which they began, which is that of their deadlines. */
interface Line {
  readonly timeoutMs: number;
  readonly calls: LinkedList<TimedCall>;
  readonly alarm: Alarm;
}

/** Lines that may stand empty, waiting for their timer, before they are looked through. */
const SPARE_LINES = 32;

/**
 * The deadlines of calls. Those with the same timeout stand in one line with one timer, set to the first of them, so
 * that beginning and ending a call costs no timer: with one each, a call costs the client 7 % more.
 */
export class CallDeadlines {
  readonly #clock: Clock;
  readonly #lines = new Map<number, Line>();
  /** Nearly every call has the timeout of the one before. */
  #recent: Line | undefined;
  #sweepFrom = SPARE_LINES;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(call: TimedCall): void {
    let line = this.#recent;
    if (line?.timeoutMs !== call.timeoutMs) {
      line = this.#lines.get(call.timeoutMs) ?? this.#open(call.timeoutMs);
      this.#recent = line;
    }
    line.calls.addLast(call);
    line.alarm.setAt(call.startedAt + call.timeoutMs);
  }

  /** Harmless for one that stands in no line. */
  remove(call: TimedCall): void {
    if (call.list !== undefined) (call.list as LinkedList<TimedCall>).remove(call);
  }

  /** No call will come any more. */
  clear(): void {
    for (const { alarm } of this.#lines.values()) alarm.clear();
  }

  /** Where each call has a time of its own, what is left of another deadline, lines are left empty at once. */
  #sweep(): void {
    for (const [timeoutMs, { calls, alarm }] of this.#lines) {
      if (calls.size > 0) continue;
      alarm.clear();
      this.#lines.delete(timeoutMs);
    }
    this.#sweepFrom = Math.max(this.#lines.size * 2, SPARE_LINES);
  }

  #open(timeoutMs: number): Line {
    if (this.#lines.size >= this.#sweepFrom) this.#sweep();
    const calls = new LinkedList<TimedCall>();
    const alarm: Alarm = new Alarm(this.#clock, () => {
      const now = this.#clock.now();
      for (let first = calls.first; first !== undefined; first = calls.first) {
        const dueAt = first.startedAt + timeoutMs;
        if (dueAt > now) {
          alarm.setAt(dueAt);
          return;
        }
        calls.remove(first);
        first.onDeadline();
      }
      // A line of its own for every odd timeout would stay for ever.
      // Unless a call that ended just now began another, for which lines were looked through.
      if (this.#lines.get(timeoutMs) === line) this.#lines.delete(timeoutMs);
      if (this.#recent === line) this.#recent = undefined;
    });
    const line: Line = { timeoutMs, calls, alarm };
    this.#lines.set(timeoutMs, line);
    return line;
  }
}
