/** Every this many inputs begins with its hello unharmed, so that most of them get past it. */
const SPARES_HELLO = 0.85;
const MAX_INPUT_BYTES = 400_000;
/** Numbers at which something could break. */
const EDGES = [0, 1, 2, 5, 6, 0xff, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
const STOCK_EDGES = [
  '0#',
  '1#',
  '2#{}',
  '4294967296#',
  '00000000005#"abc"',
  '3#💥',
  '#',
  '99999999999999999999#',
  '7#{"id":1',
];

/** One side of a recorded connection, cut into frames: the first is the hello, where there is one. */
export type Frames = readonly Buffer[];

/** What is to be sent on one connection. */
export interface FuzzInput {
  /** Sent first; empty where it is damaged like the rest. */
  readonly hello: Buffer;
  /** The rest, in pieces. */
  readonly chunks: readonly Buffer[];
}

/** Cuts what was recorded at its frames: first those of the stock wire, then the native ones. */
export function framesOf(recorded: Buffer): Frames {
  const frames: Buffer[] = [];
  let at = 0;
  for (;;) {
    const hash = recorded.indexOf('#', at);
    const length = Number(recorded.toString('latin1', at, hash));
    if (hash < 0 || hash - at > 10 || !Number.isInteger(length)) break;
    const end = endOfText(recorded, hash + 1, length);
    frames.push(recorded.subarray(at, end));
    at = end;
  }
  while (recorded.length - at >= 4) {
    const end = at + 4 + recorded.readUInt32BE(at);
    frames.push(recorded.subarray(at, end));
    at = end;
  }
  return frames;
}

/** Makes inputs of recorded traffic; the same of the same random numbers. */
export class Mutator {
  readonly #corpus: readonly Frames[];

  constructor(corpus: readonly Frames[]) {
    this.#corpus = corpus.filter((frames) => frames.length > 1);
    if (this.#corpus.length === 0) throw new Error('nothing was recorded to mutate');
  }

  input(random: () => number): FuzzInput {
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const below = (end: number): number => Math.floor(random() * end);
    const source = pick(this.#corpus);
    const isSpared = random() < SPARES_HELLO;
    const hello = isSpared ? source.slice(0, 1) : [];
    let frames: Frames = source.slice(hello.length);
    // Most recordings are long: a part of them leaves more time for others.
    if (random() < 0.7) frames = frames.slice(0, 1 + below(frames.length));
    for (let edits = below(5); edits > 0; edits--) frames = this.#rearranged(frames, pick, below);
    let bytes: Buffer = Buffer.concat(frames);
    for (let edits = below(4); edits > 0 && bytes.length > 0; edits--) bytes = damaged(bytes, pick, below);
    return { hello: Buffer.concat(hello), chunks: cut(bytes.subarray(0, MAX_INPUT_BYTES), random) };
  }

  /** Whole frames, put in another order, twice, of another session, or of none. */
  #rearranged(frames: Frames, pick: <T>(from: readonly T[]) => T, below: (end: number) => number): Frames {
    const at = below(frames.length + 1);
    const other = pick(this.#corpus);
    switch (below(9)) {
      case 0:
        return [...frames.slice(0, at), ...frames.slice(at + 1)];
      case 1: {
        const copied = frames.slice(at, at + 1 + below(4));
        return [...frames.slice(0, at), ...copied, ...copied, ...frames.slice(at)];
      }
      case 2:
        return [...frames.slice(at), ...frames.slice(0, at)];
      case 3:
        return [...frames.slice(0, at), ...other.slice(below(other.length))];
      case 4: {
        // Alternately, as of two sessions on one connection.
        const longest = Math.max(frames.length, other.length);
        return Array.from({ length: longest }, (_, i) => [frames[i], other[i]])
          .flat()
          .filter((frame) => frame !== undefined);
      }
      case 5: {
        const frame = frames[at];
        return frame === undefined ? frames : [...frames, ...Array.from({ length: below(200) }, () => frame)];
      }
      case 6:
        return [...frames.slice(0, at), Buffer.from(pick(STOCK_EDGES)), ...frames.slice(at)];
      default:
        return [...frames.slice(0, at), generated(pick, below), ...frames.slice(at)];
    }
  }
}

/** A frame of the native protocol that nobody has written: any type, flags, number and body. */
function generated(pick: <T>(from: readonly T[]) => T, below: (end: number) => number): Buffer {
  const body = Buffer.alloc(below(4) === 0 ? below(70_000) : below(40));
  for (let i = 0; i < Math.min(body.length, 40); i++) body[i] = below(256);
  if (body.length >= 4) body.writeUInt32BE(pick([...EDGES, below(10)]), 0);
  if (body.length >= 8) body.writeUInt32BE(pick([...EDGES, below(10)]), 4);
  const head = Buffer.alloc(6);
  head.writeUInt32BE(below(20) === 0 ? pick(EDGES) : body.length + 2);
  head.set([below(16), below(256)], 4);
  return Buffer.concat([head, body]);
}

/** Bytes, whatever frame they are of. */
function damaged(from: Buffer, pick: <T>(from: readonly T[]) => T, below: (end: number) => number): Buffer {
  const bytes = Buffer.from(from);
  const at = below(bytes.length);
  switch (below(6)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
      return bytes;
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(20))]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([below(256)]), bytes.subarray(at)]);
    case 4:
      for (let i = 0; i < 8; i++) bytes[below(bytes.length)] = below(256);
      return bytes;
    default:
      // Lengths, ids, credits: all of them are numbers of four bytes somewhere.
      if (bytes.length >= 4) bytes.writeUInt32BE(pick([...EDGES, below(1_000)]), Math.min(at, bytes.length - 4));
      return bytes;
  }
}

function cut(whole: Buffer, random: () => number): Buffer[] {
  const chunks: Buffer[] = [];
  const isFine = random() < 0.1;
  for (let at = 0; at < whole.length;) {
    const size = isFine && chunks.length < 100 ? 1 + Math.floor(random() * 8) : 1 + Math.floor(random() ** 2 * 100_000);
    chunks.push(whole.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

/** A stock frame counts UTF-16 units. */
function endOfText(bytes: Buffer, start: number, units: number): number {
  let end = start + units;
  while (bytes.toString('utf8', start, end).length < units) end += 1;
  return end;
}
