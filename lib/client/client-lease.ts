import type { Clock } from '../common/clock.js';
import type { Call } from '../connection/call.js';
import type { ClientConnection } from '../connection/client-connection.js';
import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { Lease } from '../pool/lease.js';
import type { OutgoingMessage } from '../protocol/messages.js';
import type { CallDeadlines } from './call-deadlines.js';
import {
  ActiveCall,
  type Borrowed,
  type CallOptions,
  type ConnectionSource,
  type ReplyObserver,
} from './active-call.js';
import { Turns } from './turns.js';

export interface LeaseHooks extends Pick<ConnectionSource, 'answered' | 'failed'> {
  settled(isFailure: boolean): void;
  started(): void;
}

/** Calls over one borrowed connection: nobody else uses it, and none of them ever moves to another. */
export class ClientLease implements ConnectionSource {
  readonly #lease: Lease<ClientConnection>;
  readonly #clock: Clock;
  readonly #deadlines: CallDeadlines;
  readonly #hooks: LeaseHooks;
  readonly #calls = new Set<ActiveCall>();
  /** Where calls run one after another: whose turn it is. */
  readonly #turns: Turns | undefined;
  readonly #over = new AbortController();
  readonly #unwatch: () => void;

  /** @param isSerial calls run one after another, in the order in which they were made */
  constructor(
    lease: Lease<ClientConnection>,
    clock: Clock,
    deadlines: CallDeadlines,
    hooks: LeaseHooks,
    isSerial = false,
  ) {
    this.#lease = lease;
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.#hooks = hooks;
    if (isSerial) this.#turns = new Turns(clock);
    this.#unwatch = lease.resource.watch((reason) => {
      this.#turns?.close(reason);
      this.#over.abort(reason);
    });
  }

  /** The connection itself. @throws PooledTcpError when the lease is over */
  get connection(): ClientConnection {
    return this.#lease.resource;
  }

  /** Address of the peer. @throws PooledTcpError when the lease is over */
  get peer(): string {
    return this.#lease.resource.peer;
  }

  /** Fires when the connection is gone or the lease is over; the reason is a `PooledTcpError`. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  get isHeld(): boolean {
    return this.#lease.state === 'held';
  }

  /** @throws PooledTcpError `PTCP_LEASE_RELEASED`, `PTCP_LEASE_RECLAIMED` */
  call(message: OutgoingMessage, observer: ReplyObserver, options: CallOptions): ActiveCall {
    this.#lease.assertHeld();
    this.#hooks.started();
    const call = new ActiveCall(this.#clock, this, message, observer, options, this.#deadlines);
    this.#calls.add(call);
    call.start();
    return call;
  }

  /** @throws PooledTcpError `PTCP_LEASE_RELEASED`, `PTCP_LEASE_RECLAIMED`, `PTCP_CONNECTION_LOST` */
  async emit(message: OutgoingMessage): Promise<void> {
    this.#lease.assertHeld();
    const done = this.#turns === undefined ? undefined : (this.#turns.tryTake() ?? (await this.#turns.take()));
    try {
      await this.#lease.resource.emit(message);
    } finally {
      done?.();
    }
  }

  /** Gives the connection back. Calls still in flight on it are cancelled and fail. */
  release(): void {
    this.#lease.assertHeld('released again');
    const { resource } = this.#lease;
    this.#turns?.close(new PooledTcpError('PTCP_LEASE_RELEASED', 'the lease was released', { peer: resource.peer }));
    for (const call of this.#calls) {
      const isWaiting = call.peer === undefined;
      resource.cancel(call);
      call.onFailure(
        new PooledTcpError('PTCP_LEASE_RELEASED', 'the lease was released while the call was in flight', {
          peer: resource.peer,
          // What was written leaves, even if the cancel leaves with it.
          sent: !isWaiting,
        }),
      );
    }
    this.#calls.clear();
    this.#unwatch();
    this.#lease.release();
    this.#over.abort(new PooledTcpError('PTCP_LEASE_RELEASED', 'the lease was released', { peer: resource.peer }));
  }

  tryBorrow(): Borrowed | undefined {
    const { resource } = this.#lease;
    if (this.#turns === undefined) return { resource, release: () => undefined };
    const release = this.#turns.tryTake();
    return release === undefined ? undefined : { resource, release };
  }

  async borrow(_options: CallOptions, timeoutMs: number | undefined, signal: AbortSignal): Promise<Borrowed> {
    if (this.#turns === undefined) {
      throw new PooledTcpError(
        'PTCP_CONNECTION_LOST',
        'the connection of this lease is gone; a lease never moves to another',
        { sent: false },
      );
    }
    const release = await this.#turns.take(timeoutMs, signal);
    return { resource: this.#lease.resource, release };
  }

  settled(isFailure: boolean, call: Call): void {
    this.#calls.delete(call as ActiveCall);
    this.#hooks.settled(isFailure);
  }

  answered(connection: ClientConnection, sentAt: number): void {
    this.#hooks.answered(connection, sentAt);
  }

  failed(connection: ClientConnection, error: PooledTcpError, sentAt: number): void {
    this.#hooks.failed(connection, error, sentAt);
  }

  /** A lease has one connection: what fails on it fails. */
  mayRetry(): boolean {
    return false;
  }

  retried(): void {
    // Never: see mayRetry().
  }
}
