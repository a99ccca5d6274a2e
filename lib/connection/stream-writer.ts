import type { CallId, EncodedMessage } from '../protocol/messages.js';
import type { Protocol } from '../protocol/protocol.js';
import type { Connection } from './connection.js';
import type { StreamWriter } from './outgoing-stream.js';

/** The way out of a connection's streams: its socket, and whatever protocol it speaks by then. */
export class ConnectionStreamWriter implements StreamWriter {
  readonly #connection: Connection;
  readonly #protocol: () => Protocol;

  constructor(connection: Connection, protocol: () => Protocol) {
    this.#connection = connection;
    this.#protocol = protocol;
  }

  get hasCredit(): boolean {
    return this.#protocol().hasCredit;
  }

  get isWritable(): boolean {
    return this.#connection.isWritable;
  }

  whenWritable(callback: () => void): void {
    this.#connection.whenWritable(callback);
  }

  item(id: CallId, data: unknown): number {
    return this.#protocol().item(id, data);
  }

  encodeItem(id: CallId, data: unknown): EncodedMessage {
    return this.#protocol().encodeItem(id, data);
  }

  writeEncoded(id: CallId, item: EncodedMessage): void {
    this.#protocol().writeEncoded(id, item);
  }

  hold(bytes: number): void {
    this.#connection.hold(bytes);
  }
}
