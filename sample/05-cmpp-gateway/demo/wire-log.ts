import type { Traffic } from '../cmpp/cmpp-codec.js';

/** Of each kind of message as many are shown; all are counted. */
const SHOWN = 2;

/** Shows what goes over the wire of one process. */
export class WireLog {
  readonly #counts = new Map<string, number>();
  readonly #show: (line: string) => void;

  constructor(show: (line: string) => void = console.log) {
    this.#show = show;
  }

  readonly record = ({ direction, message, sequenceId }: Traffic): void => {
    const line = `${direction === 'sent' ? '→' : '←'} ${message}`;
    const count = this.count(direction, message) + 1;
    this.#counts.set(`${direction} ${message}`, count);
    if (count <= SHOWN) this.#show(`${line} #${sequenceId}`);
    else if (count === SHOWN + 1) this.#show(`${line} … and so on`);
  };

  count(direction: Traffic['direction'], message: string): number {
    return this.#counts.get(`${direction} ${message}`) ?? 0;
  }
}
