import { lengthField, type MessageCodec } from '../../../lib/index.js';

/** Four bytes, big endian, that count themselves; then a command and a sequence number of four bytes each, as CMPP. */
export const gatewayFraming = lengthField({ size: 4, includesHeader: true, strip: 0 });

const COMMANDS: Readonly<Record<string, number>> = {
  CONNECT: 0x01,
  TERMINATE: 0x02,
  SUBMIT: 0x04,
  DELIVER: 0x05,
  ACTIVE_TEST: 0x08,
  ECHO: 0x10,
  NOTE: 0x11,
};
const NAMES = new Map(Object.entries(COMMANDS).map(([name, command]) => [command, name]));
const RESPONSE = 0x8000_0000;
const FAILED = 0x4000_0000;
const HEADER_BYTES = 12;

export function gatewayMessage(command: number, sequence: number, body = ''): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(command >>> 0, 4);
  header.writeUInt32BE(sequence, 8);
  return Buffer.concat([header, Buffer.from(body)]);
}

/** With the length in it: what goes over the wire. */
export function gatewayFrame(command: number, sequence: number, body = ''): Buffer {
  return Buffer.concat(gatewayFraming.encode(gatewayMessage(command, sequence, body)));
}

export const commandOf = (name: string, isResponse = false): number =>
  ((COMMANDS[name] ?? 0) | (isResponse ? RESPONSE : 0)) >>> 0;

/** Ids, both ends ask for signs of life, the server delivers and the client answers, and both say goodbye. */
export function gatewayCodec(more: Partial<MessageCodec> = {}): MessageCodec {
  return {
    encode({ kind, id, pattern, data, error }) {
      const command = COMMANDS[String(pattern)];
      if (command === undefined) throw new TypeError(`no command ${String(pattern)}`);
      const flags = kind === 'reply' ? RESPONSE : kind === 'error' ? RESPONSE + FAILED : 0;
      const text = kind === 'error' ? (error as { message: string }).message : JSON.stringify(data ?? null);
      return gatewayMessage(command + flags, Number(id ?? 0), text);
    },
    decode(frame) {
      const word = frame.readUInt32BE(4);
      const id = frame.readUInt32BE(8);
      const isResponse = (word & RESPONSE) !== 0;
      const pattern = NAMES.get((word & ~(RESPONSE | FAILED)) >>> 0);
      if (pattern === undefined) throw new TypeError(`unknown command ${word.toString(16)}`);
      const body = frame.toString('utf8', HEADER_BYTES);
      if ((word & FAILED) !== 0) return { id, error: body };
      const data: unknown = body === '' ? undefined : JSON.parse(body);
      if (pattern === 'ACTIVE_TEST') return { id, heartbeat: isResponse ? 'answer' : 'ask' };
      if (pattern === 'DELIVER') {
        return isResponse
          ? { id, pattern: 'DELIVERED', event: true, data }
          : { id, push: 'DELIVER', data, answer: 'ok' };
      }
      if (pattern === 'NOTE') return { pattern, event: true, data };
      return isResponse ? { id, data } : { id, pattern, data };
    },
    heartbeat: {
      ask: (id) => gatewayMessage(commandOf('ACTIVE_TEST'), id),
      answer: ({ id }) => gatewayMessage(commandOf('ACTIVE_TEST', true), Number(id)),
    },
    ...more,
  };
}
