import type { Output } from '../framing/output.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
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

/**
 * Runs packets through a custom serializer or deserializer, which may be async, and keeps their order:
 * once one packet waits, those behind it wait too.
 */
export class PacketPipe {
  #tail: Promise<void> | undefined;

  /**
   * @param convert the user's conversion; undefined passes the packet through
   * @param use gets the converted packet, at once where nothing is async
   * @param fail gets what the conversion or `use` threw, where that comes later; at once it is thrown
   */
  run(
    packet: unknown,
    convert: ((packet: unknown) => unknown) | undefined,
    use: (packet: unknown) => void,
    fail: (error: PooledTcpError) => void,
  ): void {
    if (convert === undefined) {
      use(packet);
      return;
    }
    if (this.#tail === undefined) {
      const converted = attempt(convert, packet);
      if (!isPromiseLike(converted)) {
        use(converted);
        return;
      }
      this.#enqueue(() => converted, use, fail);
      return;
    }
    this.#enqueue(() => convert(packet), use, fail);
  }

  #enqueue(convert: () => unknown, use: (packet: unknown) => void, fail: (error: PooledTcpError) => void): void {
    const turn = (this.#tail ?? Promise.resolve())
      .then(convert)
      .then(use)
      .catch((error: unknown) => {
        fail(asPacketError(error));
      })
      .finally(() => {
        if (this.#tail === turn) this.#tail = undefined;
      });
    this.#tail = turn;
  }
}

/** @throws PooledTcpError `PTCP_FRAME_TOO_LARGE`, `PTCP_PAYLOAD_UNSERIALIZABLE` */
export function writePacket(output: Output, packet: unknown, maxFrameBytes: number): void {
  const json = toJson(packet);
  if (json === undefined) throw new PooledTcpError('PTCP_PAYLOAD_UNSERIALIZABLE', 'the serializer returned nothing');
  if (json.length > maxFrameBytes) {
    throw new PooledTcpError(
      'PTCP_FRAME_TOO_LARGE',
      `a message of ${json.length} characters or more is larger than maxFrameBytes (${maxFrameBytes})`,
    );
  }
  encodeNestFrame(output, json);
}

function attempt(convert: (packet: unknown) => unknown, packet: unknown): unknown {
  try {
    return convert(packet);
  } catch (error) {
    throw asPacketError(error);
  }
}

function asPacketError(error: unknown): PooledTcpError {
  if (error instanceof PooledTcpError) return error;
  return new PooledTcpError('PTCP_PAYLOAD_MALFORMED', `the serializer or deserializer threw: ${describeCause(error)}`, {
    cause: error,
  });
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
