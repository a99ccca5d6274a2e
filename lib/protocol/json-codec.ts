import type { PayloadCodec, PayloadDecoder, PayloadEncoder } from './codec.js';
import { toJson } from './json.js';
import { PAYLOAD } from './native/format.js';
import { violation } from './protocol.js';

const encoder: PayloadEncoder = {
  kind: PAYLOAD.json,
  encode: toJson,
  written: () => undefined,
};

/** Every connection takes JSON; beyond it this codec has no kind of its own. */
const decoder: PayloadDecoder = {
  decode: (kind) => {
    throw violation(`payload kind ${kind} on a connection that did not agree on it`);
  },
};

/** Payloads as JSON: the codec of every peer. Keeps no state, so connections share it. */
export const jsonCodec: PayloadCodec = { name: 'json', encoder: () => encoder, decoder: () => decoder };
