import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import type { MessageCodec } from './message-codec.js';

/** The pattern of every request at a server that has `framing` and no `codec`: `@MessagePattern('frame')`. */
export const FRAME_PATTERN = 'frame';

/** Without a codec: the payload of a frame is the data itself, a Buffer in and a Buffer out, one call at a time. */
export const rawCodec: MessageCodec = Object.freeze({
  correlation: 'serial',
  encode({ kind, data }) {
    if (Buffer.isBuffer(data)) return data;
    if (data instanceof Uint8Array) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const what = kind === 'error' ? 'an error has no bytes' : `data must be a Buffer, and is ${typeName(data)}`;
    throw new PooledTcpError('PTCP_PAYLOAD_UNSERIALIZABLE', `${what}; give a codec beside framing`);
  },
  decode: (frame) => ({ pattern: FRAME_PATTERN, data: frame }),
} satisfies MessageCodec);

function typeName(data: unknown): string {
  if (data === null) return 'null';
  return Array.isArray(data) ? 'an array' : `of type ${typeof data}`;
}
