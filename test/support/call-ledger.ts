import { setImmediate as nextTurn } from 'node:timers/promises';
import { PooledTcpError, type PooledTcpClient, type RequestOptions } from '../../lib/index.js';

export type CallState = 'pending' | 'answered' | 'failed-unsent' | 'failed-sent';

/** One call, from its start to its end. */
export interface LedgerEntry {
  readonly tag: string;
  /** On `performance.now()`'s clock. */
  readonly startedAt: number;
  readonly settledAt: number | undefined;
  readonly state: CallState;
  /** Of the failure. */
  readonly code: string | undefined;
  /** Where the call failed. */
  readonly peer: string | undefined;
  /** Replies, of which there should be at most one. */
  readonly replies: number;
  /** Times that a handler saw it. */
  readonly handled: number;
}

/** What became of all calls. Everything below `handled` is a defect. */
export interface LedgerReport {
  readonly calls: number;
  readonly answered: number;
  /** Failed with `sent: false`. */
  readonly failedUnsent: number;
  /** Failed with `sent: true`. */
  readonly failedSent: number;
  /** Times that a handler saw a call. */
  readonly handled: number;
  /** Never settled. */
  readonly lost: number;
  readonly answeredTwice: number;
  /** Answered with another's reply, or with one that no server gave. */
  readonly crossed: number;
  readonly handledTwice: number;
  /** Failed with `sent: false`, although a handler saw it. */
  readonly unsentButHandled: number;
  /** Answered, although no handler saw it. */
  readonly answeredUnhandled: number;
  /** Handled, although nobody made such a call. */
  readonly unknownHandled: number;
  /** Failed with something that is no `PooledTcpError`. */
  readonly foreignErrors: number;
}

/** The part of a report that must be all zero, whatever was done to the network. */
export const NO_DEFECTS = {
  lost: 0,
  answeredTwice: 0,
  crossed: 0,
  handledTwice: 0,
  unsentButHandled: 0,
  answeredUnhandled: 0,
  unknownHandled: 0,
  foreignErrors: 0,
} as const satisfies Partial<LedgerReport>;

type MutableEntry = { -readonly [K in keyof LedgerEntry]: LedgerEntry[K] };

/**
 * Books about calls. Each carries a tag of its own and is answered with it; servers report every tag that they saw.
 * Both sides together show what was lost, doubled or mixed up, and whether `sent` told the truth.
 */
export class CallLedger {
  readonly #entries = new Map<string, MutableEntry>();
  readonly #name: string;
  #opened = 0;
  #pending = 0;
  /** Calls that were answered once and handled once, and are no longer kept one by one. */
  #folded = 0;
  #crossed = 0;
  #foreign = 0;
  #unknownHandled = 0;

  /** @param name begins every tag; two ledgers at the same servers need two */
  constructor(name = 'call') {
    this.#name = name;
  }

  /** Calls that have not been folded away. */
  get entries(): readonly LedgerEntry[] {
    return [...this.#entries.values()];
  }

  /** Calls that have not settled. */
  get pending(): number {
    return this.#pending;
  }

  /** Calls that a handler saw. */
  get handledCalls(): number {
    return this.entries.filter(({ handled }) => handled > 0).length;
  }

  /** One call by `request()`. Resolves when it has settled, however it did. */
  async request(
    client: PooledTcpClient,
    { pattern = 'echo', data = {}, ...options }: { pattern?: string; data?: object } & RequestOptions = {},
  ): Promise<LedgerEntry> {
    const entry = this.open();
    try {
      this.answered(entry, await client.request(pattern, { ...data, tag: entry.tag }, options));
    } catch (error) {
      this.failed(entry, error);
    }
    return entry;
  }

  /** One call by `send()`, whose Observable would show a second reply. */
  send(client: PooledTcpClient, { pattern = 'echo', data = {} } = {}): Promise<LedgerEntry> {
    const entry = this.open();
    return new Promise((resolve) => {
      client.send(pattern, { ...data, tag: entry.tag }).subscribe({
        next: (reply: unknown) => {
          this.answered(entry, reply);
        },
        error: (error: unknown) => {
          this.failed(entry, error);
          resolve(entry);
        },
        complete: () => {
          // A call that completes without a reply stays pending, and counts as lost.
          resolve(entry);
        },
      });
    });
  }

  /** Begins a call that is made elsewhere. */
  open(): LedgerEntry {
    const tag = `${this.#name}-${(this.#opened += 1)}`;
    const entry: MutableEntry = {
      tag,
      startedAt: performance.now(),
      settledAt: undefined,
      state: 'pending',
      code: undefined,
      peer: undefined,
      replies: 0,
      handled: 0,
    };
    this.#entries.set(tag, entry);
    this.#pending += 1;
    return entry;
  }

  answered({ tag }: LedgerEntry, reply: unknown): void {
    const entry = this.#entry(tag);
    entry.replies += 1;
    if (tagOf(reply) !== tag) this.#crossed += 1;
    this.#settle(entry, 'answered');
  }

  failed({ tag }: LedgerEntry, error: unknown): void {
    const entry = this.#entry(tag);
    if (error instanceof PooledTcpError) {
      entry.code = error.code;
      entry.peer = error.peer;
      this.#settle(entry, error.sent ? 'failed-sent' : 'failed-unsent');
      return;
    }
    this.#foreign += 1;
    this.#settle(entry, 'failed-sent');
  }

  /** A handler saw a call. */
  readonly handled = (tag: string): void => {
    const entry = this.#entries.get(tag);
    if (entry === undefined) this.#unknownHandled += 1;
    else entry.handled += 1;
  };

  /** Resolves when every call has settled; the test's own timeout bounds it. */
  async settled(): Promise<void> {
    while (this.#pending > 0) await nextTurn();
  }

  /**
   * Forgets calls with which all went well, so that long runs need no more memory than short ones. A handler that
   * sees one of them again counts as `unknownHandled`.
   */
  fold(): void {
    for (const { tag, state, replies, handled } of this.#entries.values()) {
      if (state !== 'answered' || replies !== 1 || handled !== 1) continue;
      this.#entries.delete(tag);
      this.#folded += 1;
    }
  }

  /** The books at this moment. Take it when the servers' reports have come in. */
  report(): LedgerReport {
    const { entries } = this;
    const count = (is: (entry: LedgerEntry) => boolean): number => entries.filter(is).length;
    return Object.freeze({
      calls: this.#opened,
      answered: this.#folded + count(({ state }) => state === 'answered'),
      failedUnsent: count(({ state }) => state === 'failed-unsent'),
      failedSent: count(({ state }) => state === 'failed-sent'),
      handled: entries.reduce((sum, { handled }) => sum + handled, this.#folded),
      lost: count(({ state }) => state === 'pending'),
      answeredTwice: count(({ replies }) => replies > 1),
      crossed: this.#crossed,
      handledTwice: count(({ handled }) => handled > 1),
      unsentButHandled: count(({ state, handled }) => state === 'failed-unsent' && handled > 0),
      answeredUnhandled: count(({ state, handled }) => state === 'answered' && handled === 0),
      unknownHandled: this.#unknownHandled,
      foreignErrors: this.#foreign,
    });
  }

  #entry(tag: string): MutableEntry {
    const entry = this.#entries.get(tag);
    if (entry === undefined) throw new Error(`the ledger has no call ${tag}`);
    return entry;
  }

  #settle(entry: MutableEntry, state: CallState): void {
    if (entry.state !== 'pending') return;
    entry.state = state;
    entry.settledAt = performance.now();
    this.#pending -= 1;
  }
}

function tagOf(reply: unknown): unknown {
  return typeof reply === 'object' && reply !== null && 'tag' in reply ? reply.tag : undefined;
}
