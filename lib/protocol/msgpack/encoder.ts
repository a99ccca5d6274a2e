import { PooledTcpError, describeCause } from '../../errors/pooled-tcp-error.js';
import type { PackedBytes, PayloadEncoder, PayloadScope } from '../codec.js';
import { PAYLOAD } from '../native/format.js';
import type { MessagePackPackage, Packr, PackTarget } from './package.js';
import { measurePlain, NOT_PLAIN, plain } from './plain.js';
import { OutgoingStructures } from './outgoing-structures.js';

/** From here on the keys are a small part, and frames may be cut into parts and overtaken. */
const ALONE_FROM_BYTES = 64 * 1024;
/** Bytes from here on are handed over in a buffer of their own, which the output then passes by reference. */
const OWN_BUFFER_FROM_BYTES = 16 * 1024;
/** The package writes into one buffer for the whole process and lets it grow; one beyond this is not kept. */
const MAX_SCRATCH_BYTES = 1024 * 1024;
const SCRATCH_BYTES = 64 * 1024;

/** Writes the MessagePack payloads of one connection. */
export class MessagePackEncoder implements PayloadEncoder {
  kind: number = PAYLOAD.msgpack;
  readonly #alone: Packr;
  readonly #mode: number;
  readonly #maxBytes: number;
  readonly #packed = new Packed();
  readonly #package: MessagePackPackage;
  /** Made with the first payload: a connection that is only kept warm holds nothing. */
  #structures: OutgoingStructures | undefined;

  /** @param alone writes payloads that stand alone; it keeps nothing, so connections share it */
  constructor(messagePack: MessagePackPackage, alone: Packr, maxBytes: number) {
    this.#package = messagePack;
    this.#alone = alone;
    this.#maxBytes = maxBytes;
    this.#mode = messagePack.REUSE_BUFFER_MODE | messagePack.RESET_BUFFER_MODE;
  }

  encode(data: unknown, scope: PayloadScope): Buffer | PackedBytes | undefined {
    if (data === undefined || typeof data === 'function' || typeof data === 'symbol') return undefined;
    try {
      const bytes = measurePlain(data, this.#maxBytes);
      const value = bytes === NOT_PLAIN ? plain(data, this.#maxBytes) : data;
      // As with JSON: a toJSON can have nothing to say.
      if (value === undefined) return undefined;
      return scope === 'message' || bytes >= ALONE_FROM_BYTES ? this.#packAlone(value) : this.#packShared(value);
    } catch (cause) {
      if (cause instanceof PooledTcpError) throw cause;
      throw new PooledTcpError(
        'PTCP_PAYLOAD_UNSERIALIZABLE',
        `the payload cannot be serialised: ${describeCause(cause)}`,
        { cause },
      );
    }
  }

  written(): void {
    if (this.kind === PAYLOAD.msgpackShared) this.#structures?.told();
  }

  #packAlone(value: unknown): Buffer | PackedBytes {
    const target = this.#alone.pack(value, this.#mode);
    this.kind = PAYLOAD.msgpack;
    return this.#handOver(target, false);
  }

  #packShared(value: unknown): Buffer | PackedBytes {
    this.#structures ??= new OutgoingStructures(this.#package, this.#alone);
    const target = this.#structures.pack(value, this.#mode);
    // The measure is a guess: text can take three times as many bytes as it has characters.
    if (target === undefined || target.end - target.start >= ALONE_FROM_BYTES) return this.#packAlone(value);
    this.kind = PAYLOAD.msgpackShared;
    if (!this.#structures.hasNews) return this.#handOver(target, true);
    const own = Buffer.from(target.subarray(target.start, target.end));
    return Buffer.concat([this.#structures.definitions(), own]);
  }

  #handOver(target: PackTarget, isShared: boolean): Buffer | PackedBytes {
    const packed = this.#packed.set(target, isShared);
    if (packed.length < OWN_BUFFER_FROM_BYTES) return packed;
    const own = Buffer.allocUnsafeSlow(packed.length);
    packed.copyTo(own, 0);
    if (target.length > MAX_SCRATCH_BYTES) this.#alone.useBuffer(Buffer.allocUnsafeSlow(SCRATCH_BYTES));
    return own;
  }
}

/** A payload where the package left it. */
class Packed implements PackedBytes {
  length = 0;
  #target: PackTarget | undefined;
  #isShared = false;

  set(target: PackTarget, isShared: boolean): this {
    this.#target = target;
    this.#isShared = isShared;
    this.length = target.end - target.start + (isShared ? 1 : 0);
    return this;
  }

  copyTo(slab: Buffer, at: number): number {
    if (this.#target === undefined) return at;
    const { start, end } = this.#target;
    if (!this.#isShared) return at + this.#target.copy(slab, at, start, end);
    // No definitions come before the value.
    slab[at] = 0;
    return at + 1 + this.#target.copy(slab, at + 1, start, end);
  }
}
