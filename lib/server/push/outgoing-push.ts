import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import type { EncodedMessage } from '../../protocol/messages.js';
import type { PushWriter } from '../../protocol/push-writer.js';

/** From here on a payload is passed on by reference; below, one buffer is cheaper to append than two. */
const JOIN_BELOW_BYTES = 16 * 1024;

/** One push on its way to one client or to many: it is encoded once for all that take the same bytes. */
export class OutgoingPush {
  readonly route: string;
  readonly data: unknown;
  /** Whether it goes to several clients. */
  readonly isShared: boolean;
  #encoded: Map<string, EncodedMessage | PooledTcpError> | undefined;

  constructor(route: string, data: unknown, isShared: boolean) {
    this.route = route;
    this.data = data;
    this.isShared = isShared;
  }

  /** @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_FRAME_TOO_LARGE` */
  encodedFor(writer: PushWriter): EncodedMessage {
    if (!this.isShared) return joined(writer.encode(this.route, this.data));
    this.#encoded ??= new Map();
    const { format } = writer;
    let encoded = this.#encoded.get(format);
    if (encoded === undefined) {
      encoded = this.#encode(writer);
      this.#encoded.set(format, encoded);
    }
    if (encoded instanceof PooledTcpError) throw encoded;
    return encoded;
  }

  /** What is too large for one client is so for all of its kind, and is not measured again for each. */
  #encode(writer: PushWriter): EncodedMessage | PooledTcpError {
    try {
      return joined(writer.encode(this.route, this.data));
    } catch (error) {
      if (error instanceof PooledTcpError) return error;
      throw error;
    }
  }
}

function joined({ bytes, parts }: EncodedMessage): EncodedMessage {
  if (parts.length === 1 || bytes >= JOIN_BELOW_BYTES) return { bytes, parts };
  return { bytes, parts: [Buffer.concat(parts, bytes)] };
}
