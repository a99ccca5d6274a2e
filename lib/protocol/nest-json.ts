import type { PooledTcpErrorCode } from '../errors/codes.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import { frameTooLarge } from '../framing/length-field.js';
import type { Output } from '../framing/output.js';
import { toJson } from './json.js';

/** What a stock server answers for an unknown pattern (`@nestjs/microservices`, `constants.ts`). */
export const NO_MESSAGE_HANDLER = 'There is no matching message handler defined in the remote service.';

/** Our client's heartbeat on the stock wire: a request that every stock server answers with "no such handler". */
export const HEARTBEAT_PATTERN = 'pooled-tcp:heartbeat';
export const HEARTBEAT_ID = 'pooled-tcp:heartbeat:';

/** Nest's `Serializer`, sync or async. */
export interface PacketSerializer {
  serialize(packet: unknown, options?: unknown): unknown;
}

/** Nest's `Deserializer`, sync or async. */
export interface PacketDeserializer {
  deserialize(value: unknown, options?: unknown): unknown;
}

export interface NestJsonOptions {
  readonly maxFrameBytes: number;
  readonly serializer?: PacketSerializer | undefined;
  readonly deserializer?: PacketDeserializer | undefined;
}

/** Writes `<length in UTF-16 units>#<JSON>`. */
export function encodeNestFrame(output: Output, json: string): void {
  output.appendText(`${json.length}#${json}`);
}

/** Why a packet failed, and whether that was known only after {@link PacketPipe.run} had returned. */
type PacketFailed = (error: PooledTcpError, isLate: boolean) => void;

/**
 * Runs packets through a custom serializer or deserializer, which may be async, and keeps their order:
 * once one packet waits, those behind it wait too.
 */
export class PacketPipe {
  readonly #code: PooledTcpErrorCode;
  readonly #convert: ((packet: unknown) => unknown) | undefined;
  #tail: Promise<void> | undefined;

  /**
   * @param code of the error when the conversion throws
   * @param convert the user's conversion; undefined passes packets through
   */
  constructor(code: PooledTcpErrorCode, convert: ((packet: unknown) => unknown) | undefined) {
    this.#code = code;
    this.#convert = convert;
  }

  /** Outgoing packets through the user's serializer. */
  static serializing({ serializer }: NestJsonOptions): PacketPipe {
    return new PacketPipe('PTCP_PAYLOAD_UNSERIALIZABLE', serializer && ((packet) => serializer.serialize(packet)));
  }

  /** Incoming packets through the user's deserializer. */
  static deserializing({ deserializer }: NestJsonOptions): PacketPipe {
    return new PacketPipe('PTCP_PAYLOAD_MALFORMED', deserializer && ((packet) => deserializer.deserialize(packet)));
  }

  /**
   * @param use gets the converted packet, at once where nothing is async; what it throws at once is thrown
   * @param fail gets what the conversion threw, and what `use` threw late; a late one must not throw
   * @returns where it is async, a promise that resolves once the packet has been used or has failed
   */
  run(packet: unknown, use: (packet: unknown) => void, fail: PacketFailed): Promise<void> | undefined {
    const convert = this.#convert;
    if (convert === undefined) {
      use(packet);
      return undefined;
    }
    if (this.#tail !== undefined) return this.#enqueue(() => convert(packet), use, fail);
    let converted: unknown;
    try {
      converted = convert(packet);
    } catch (error) {
      fail(this.#ours(error), false);
      return undefined;
    }
    if (isPromiseLike(converted)) return this.#enqueue(() => converted, use, fail);
    use(converted);
    return undefined;
  }

  #enqueue(convert: () => unknown, use: (packet: unknown) => void, fail: PacketFailed): Promise<void> {
    const turn = (this.#tail ?? Promise.resolve())
      .then(convert)
      .then(use)
      .catch((error: unknown) => {
        fail(this.#ours(error), true);
      })
      .finally(() => {
        if (this.#tail === turn) this.#tail = undefined;
      });
    this.#tail = turn;
    return turn;
  }

  #ours(error: unknown): PooledTcpError {
    if (error instanceof PooledTcpError) return error;
    const who = this.#code === 'PTCP_PAYLOAD_UNSERIALIZABLE' ? 'serializer' : 'deserializer';
    return new PooledTcpError(this.#code, `the ${who} threw: ${describeCause(error)}`, { cause: error });
  }
}

/** @throws PooledTcpError `PTCP_FRAME_TOO_LARGE`, `PTCP_PAYLOAD_UNSERIALIZABLE` */
export function writePacket(output: Output, packet: unknown, maxFrameBytes: number): void {
  const json = toJson(packet);
  if (json === undefined) throw new PooledTcpError('PTCP_PAYLOAD_UNSERIALIZABLE', 'the serializer returned nothing');
  // Characters are counted as bytes only where even three bytes each would fit.
  const frameBytes = json.length * 3 > maxFrameBytes ? Buffer.byteLength(json) : json.length;
  if (frameBytes > maxFrameBytes) throw frameTooLarge(frameBytes, maxFrameBytes);
  encodeNestFrame(output, json);
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
