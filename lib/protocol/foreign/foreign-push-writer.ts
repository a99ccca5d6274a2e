import type { EncodedMessage } from '../messages.js';
import type { PushWriter } from '../push-writer.js';

/** What pushes need of their protocol. */
export interface ForeignPushWire {
  /** A push as a frame, with the next id. @throws PooledTcpError what encode() and the framing throw */
  readonly frame: (route: string, data: unknown) => readonly Buffer[];
  readonly write: (parts: readonly Buffer[]) => void;
}

let connections = 0;

/** Pushes of a foreign protocol. Each may carry an id of its connection, so no two connections take the same bytes. */
export class ForeignPushWriter implements PushWriter {
  readonly format: string;
  readonly #wire: ForeignPushWire;

  constructor(wire: ForeignPushWire) {
    connections += 1;
    this.format = `foreign ${connections}`;
    this.#wire = wire;
  }

  write(route: string, data: unknown): boolean {
    this.#wire.write(this.#wire.frame(route, data));
    return false;
  }

  encode(route: string, data: unknown): EncodedMessage {
    const parts = this.#wire.frame(route, data);
    return { parts, bytes: parts.reduce((sum, { length }) => sum + length, 0) };
  }

  writeEncoded({ parts }: EncodedMessage): boolean {
    this.#wire.write(parts);
    return false;
  }
}
