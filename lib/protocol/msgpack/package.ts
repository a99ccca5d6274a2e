import { createRequire } from 'node:module';
import { PooledTcpError, describeCause } from '../../errors/pooled-tcp-error.js';

/** What is used of the package, in its own words. Declared here, so that our types do not need the package. */
export interface Packr {
  pack(value: unknown, mode?: number): PackTarget;
  useBuffer(buffer: Buffer): void;
}
/** With `REUSE_BUFFER_MODE`, the buffer that was written to, and where. */
export type PackTarget = Buffer & { readonly start: number; readonly end: number };
export interface Unpackr {
  unpack(bytes: Buffer, range: { readonly start: number; readonly end: number }): unknown;
}
export interface PackrOptions {
  readonly useRecords?: boolean;
  readonly structures?: string[][];
  readonly maxSharedStructures?: number;
  readonly maxOwnStructures?: number;
  readonly mapsAsObjects?: boolean;
  readonly variableMapSize?: boolean;
  readonly useToJSON?: boolean;
  readonly copyBuffers?: boolean;
  readonly shouldShareStructure?: (keys: string[]) => boolean;
}
export interface MessagePackPackage {
  readonly Packr: new (options: PackrOptions) => Packr;
  readonly Unpackr: new (options: PackrOptions) => Unpackr;
  readonly REUSE_BUFFER_MODE: number;
  readonly RESET_BUFFER_MODE: number;
}

let loaded: MessagePackPackage | undefined;

/**
 * The optional package, loaded when it is first asked for. At once and not by `import()`: options are checked in
 * constructors.
 *
 * @throws PooledTcpError `PTCP_PACKAGE_MISSING`
 */
export function messagePackPackage(): MessagePackPackage {
  return (loaded ??= loadMessagePack(createRequire(import.meta.url)));
}

/**
 * @param load `require`, or what stands for it
 * @throws PooledTcpError `PTCP_PACKAGE_MISSING`
 */
export function loadMessagePack(load: (name: string) => unknown): MessagePackPackage {
  let messagePack: MessagePackPackage;
  try {
    messagePack = load('msgpackr') as MessagePackPackage;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    throw unusable(missing ? 'is not installed' : `cannot be loaded (${describeCause(cause)})`, cause);
  }
  try {
    probe(messagePack);
  } catch (cause) {
    throw unusable(`is installed in a version that cannot be used (${describeCause(cause)})`, cause);
  }
  return messagePack;
}

/** Versions before 2.1.2 cannot write an object without a structure among those that have one, and say so only then. */
function probe({ Packr, Unpackr, REUSE_BUFFER_MODE, RESET_BUFFER_MODE }: MessagePackPackage): void {
  const packr = new Packr({
    structures: [],
    maxSharedStructures: 1,
    maxOwnStructures: 0,
    variableMapSize: true,
    shouldShareStructure: () => false,
  });
  const packed = packr.pack({ a: 1 }, REUSE_BUFFER_MODE | RESET_BUFFER_MODE);
  const { start, end } = packed;
  if (packed.toString('hex', start, end) !== '81a16101') throw new Error('it writes an object as something else');
  const read = new Unpackr({ useRecords: false, mapsAsObjects: true }).unpack(packed, { start, end });
  if (JSON.stringify(read) !== '{"a":1}') throw new Error('it does not read what it writes');
}

function unusable(what: string, cause: unknown): PooledTcpError {
  return new PooledTcpError(
    'PTCP_PACKAGE_MISSING',
    `codec 'msgpack' needs the package msgpackr, which ${what}; run: npm install msgpackr@2`,
    { cause },
  );
}
