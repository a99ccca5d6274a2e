import { setTimeout as delay } from 'node:timers/promises';
import type { CallLedger } from './call-ledger.js';
import { until } from './sockets.js';

/** A caller whose call has failed comes again after this long. */
const PAUSE_MS = 20;

/** Somebody who can be called: a client, or one of several. */
export interface Target {
  readonly call: (data: { readonly tag: string }) => Promise<unknown>;
}

/**
 * Callers that take the targets in turn, as a load balancer hands out its backends: a target that is taken out gets no
 * new calls, and is free once those it has are answered.
 */
export class Rotation {
  readonly #ledger: CallLedger;
  readonly #inFlight = new Map<Target, number>();
  readonly #callers: Promise<void>[];
  #targets: readonly Target[];
  #turn = 0;
  #answered = 0;
  #isOn = true;

  constructor(ledger: CallLedger, concurrent: number, targets: readonly Target[]) {
    this.#ledger = ledger;
    this.#targets = targets;
    this.#callers = Array.from({ length: concurrent }, async () => {
      while (this.#isOn) await this.#call();
    });
  }

  putIn(...targets: readonly Target[]): void {
    this.#targets = [...this.#targets, ...targets];
  }

  /** Resolves when the last of their calls has settled. */
  async takeOut(...targets: readonly Target[]): Promise<void> {
    this.#targets = this.#targets.filter((target) => !targets.includes(target));
    await until(() => targets.every((target) => (this.#inFlight.get(target) ?? 0) === 0));
  }

  /** Resolves when so many calls more have been answered. */
  async answers(more: number): Promise<void> {
    const enough = this.#answered + more;
    await until(() => this.#answered >= enough);
  }

  /** Resolves when every call has settled. */
  async stop(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#callers);
  }

  async #call(): Promise<void> {
    const target = this.#targets[(this.#turn += 1) % this.#targets.length];
    if (target === undefined) throw new Error('nobody is left to be called');
    const entry = this.#ledger.open();
    const count = (by: number): void => {
      this.#inFlight.set(target, (this.#inFlight.get(target) ?? 0) + by);
    };
    count(1);
    try {
      this.#ledger.answered(entry, await target.call({ tag: entry.tag }));
      this.#answered += 1;
    } catch (error) {
      this.#ledger.failed(entry, error);
      // A caller that cannot even be refused slowly would call again in the same tick, for ever.
      await delay(PAUSE_MS);
    } finally {
      count(-1);
    }
  }
}
