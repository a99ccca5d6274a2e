import { jest } from '@jest/globals';
import { Connection } from '../../lib/connection/connection.js';

/** Watches what all connections keep back for their peers, in bytes: what streams and fragments say of it. */
export class HeldBytes {
  readonly #held = new Map<Connection, number>();
  readonly #restore: () => void;
  /** The most that one connection has kept back. */
  most = 0;

  constructor() {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own connection below
    const hold = Connection.prototype.hold;
    const note = (connection: Connection, bytes: number): void => {
      const held = (this.#held.get(connection) ?? 0) + bytes;
      if (held < 0) throw new Error(`a connection holds ${held} bytes`);
      this.#held.set(connection, held);
      this.most = Math.max(this.most, held);
    };
    const spy = jest.spyOn(Connection.prototype, 'hold').mockImplementation(function (this: Connection, bytes) {
      hold.call(this, bytes);
      note(this, bytes);
    });
    this.#restore = () => {
      spy.mockRestore();
    };
  }

  get total(): number {
    return [...this.#held.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  restore(): void {
    this.#restore();
  }
}
