import { PooledTcpError } from '../errors/pooled-tcp-error.js';

/**
 * The receiving end's side of a stream's credit: counts what has arrived and not been taken, and says when to let
 * the sender have more. Small amounts are gathered, so that a stream of small values costs few credits.
 */
export class IncomingWindow {
  readonly #windowBytes: number;
  /** Arrived, and not granted again yet. */
  #outstanding = 0;
  /** Taken, and not granted again yet. */
  #taken = 0;

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
  }

  /** @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION` when the sender had no credit left */
  arrived(bytes: number): void {
    if (this.#outstanding >= this.#windowBytes) {
      throw new PooledTcpError(
        'PTCP_PROTOCOL_VIOLATION',
        `the peer sent more of a stream than it had credit for (${this.#windowBytes} bytes)`,
      );
    }
    this.#outstanding += bytes;
  }

  /** The consumer has taken so many bytes. @returns credit to send, 0 for none yet */
  taken(bytes: number): number {
    this.#taken += bytes;
    // Half a window is left to the sender until then, so it cannot be waiting.
    if (this.#taken * 2 < this.#windowBytes) return 0;
    const granted = this.#taken;
    this.#taken = 0;
    this.#outstanding -= granted;
    return granted;
  }
}
