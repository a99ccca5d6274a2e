import { PooledTcpError } from '../errors/pooled-tcp-error.js';
import type { CodecName, PayloadCodec } from './codec.js';
import { jsonCodec } from './json-codec.js';
import { messagePackCodec } from './msgpack-codec.js';

/** What a user asks for; `auto` is MessagePack where it can be had. */
export type CodecChoice = 'auto' | CodecName;

/** @throws PooledTcpError `PTCP_PACKAGE_MISSING` */
export function codecNamed(name: CodecName): PayloadCodec {
  return name === 'json' ? jsonCodec : messagePackCodec();
}

/** The codecs a client offers in its hello, best first; undefined for JSON alone, which needs no words. */
export function offeredCodecs(choice: CodecChoice): readonly CodecName[] | undefined {
  return choice === 'msgpack' || (choice === 'auto' && hasMessagePack()) ? ['msgpack', 'json'] : undefined;
}

/** The first of the client's codecs that this server is allowed and able to use; JSON where there is none. */
export function chooseCodec(choice: CodecChoice, offered: readonly string[] | undefined): PayloadCodec {
  if (choice === 'json' || offered === undefined) return jsonCodec;
  const name = offered.find((codec) => codec === 'json' || (codec === 'msgpack' && hasMessagePack()));
  return codecNamed(name === 'msgpack' ? name : 'json');
}

function hasMessagePack(): boolean {
  try {
    messagePackCodec();
    return true;
  } catch (error) {
    if (error instanceof PooledTcpError && error.code === 'PTCP_PACKAGE_MISSING') return false;
    throw error;
  }
}
