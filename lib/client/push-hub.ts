import type { ClientConnection } from '../connection/client-connection.js';

export type PushListener = (data: unknown, connection: ClientConnection) => void;

/** Hands what servers push to those who listen for its pattern. */
export class PushHub {
  readonly #listeners = new Map<string, Set<PushListener>>();

  /** @returns takes the listener off again */
  listen(route: string, listener: PushListener): () => void {
    let listeners = this.#listeners.get(route);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(route, listeners);
    }
    listeners.add(listener);
    return () => {
      const left = this.#listeners.get(route);
      if (left?.delete(listener) === true && left.size === 0) this.#listeners.delete(route);
    };
  }

  deliver(route: string, data: unknown, connection: ClientConnection): void {
    const listeners = this.#listeners.get(route);
    if (listeners === undefined) return;
    for (const listener of listeners) listener(data, connection);
  }
}
