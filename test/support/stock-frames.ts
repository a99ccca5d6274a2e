import { StringDecoder } from 'node:string_decoder';

export interface StockPacket {
  readonly id?: string;
  readonly pattern?: unknown;
  readonly data?: unknown;
  readonly metadata?: unknown;
  readonly err?: unknown;
  readonly response?: unknown;
  readonly isDisposed?: boolean;
}

/**
 * The stock frame format, read as stock Nest reads it and without a line of ours: `<length in UTF-16 units>#<JSON>`.
 * Stricter than stock Nest: a length is digits and nothing else.
 */
export class StockFrames {
  /** Everything that arrived. */
  text = '';
  /** The JSON of each whole frame, as it was written. */
  readonly frames: string[] = [];
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  /** @throws Error where the bytes are no stock frames */
  push(chunk: Buffer): void {
    const text = this.#decoder.write(chunk);
    this.text += text;
    let rest = this.#rest + text;
    for (;;) {
      const hash = rest.indexOf('#');
      const head = hash === -1 ? rest : rest.slice(0, hash);
      if (!/^\d*$/.test(head) || hash === 0) throw new Error(`not a stock frame: ${JSON.stringify(rest.slice(0, 80))}`);
      const end = hash + 1 + Number(head);
      if (hash === -1 || rest.length < end) break;
      this.frames.push(rest.slice(hash + 1, end));
      rest = rest.slice(end);
    }
    this.#rest = rest;
  }

  get packets(): StockPacket[] {
    return this.frames.map((frame) => JSON.parse(frame) as StockPacket);
  }

  /** Whether the last frame has come whole. */
  get isBetweenFrames(): boolean {
    return this.#rest === '';
  }
}
