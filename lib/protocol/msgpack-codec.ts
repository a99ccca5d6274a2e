import type { PayloadCodec } from './codec.js';
import { MessagePackDecoder } from './msgpack/decoder.js';
import { MessagePackEncoder } from './msgpack/encoder.js';
import { messagePackPackage } from './msgpack/package.js';

let codec: PayloadCodec | undefined;

/**
 * Payloads as MessagePack, by the optional package msgpackr, which is loaded when this is first called.
 *
 * @throws PooledTcpError `PTCP_PACKAGE_MISSING`
 */
export function messagePackCodec(): PayloadCodec {
  return (codec ??= makeCodec());
}

function makeCodec(): PayloadCodec {
  const messagePack = messagePackPackage();
  const packr = new messagePack.Packr({ useRecords: false, variableMapSize: true, useToJSON: false });
  const unpackr = new messagePack.Unpackr({ useRecords: false, mapsAsObjects: true, copyBuffers: true });
  return {
    name: 'msgpack',
    encoder: (maxBytes) => new MessagePackEncoder(messagePack, packr, maxBytes),
    decoder: () => new MessagePackDecoder(messagePack, unpackr),
  };
}
