import { lengthField, type MessageCodec } from '../../../lib/index.js';

/** Four ASCII digits, then a message type of four digits and the data: serial, as banks do it. */
export const bankFraming = lengthField({ size: 4, encoding: 'ascii' });

/** The same with two bytes of BCD. */
export const bcdFraming = lengthField({ size: 2, encoding: 'bcd' });

/** An answer has the type of its request plus ten; `9999` is an error. `0800` asks for a sign of life. */
export const bankCodec: MessageCodec = {
  correlation: 'serial',
  encode({ kind, pattern, data, error }) {
    if (kind === 'error') return Buffer.from(`9999${textOf(error)}`);
    const type = kind === 'reply' ? String(Number(pattern) + 10).padStart(4, '0') : String(pattern);
    if (!/^\d{4}$/.test(type)) throw new TypeError(`a message type has four digits, not '${type}'`);
    return Buffer.from(`${type}${String(data)}`);
  },
  decode(frame) {
    const type = frame.toString('latin1', 0, 4);
    const data = frame.toString('utf8', 4);
    if (!/^\d{4}$/.test(type)) throw new TypeError('no message type');
    if (type === '9999') return { error: data };
    if (type === '0800') return { heartbeat: 'ask' };
    if (type === '0810') return { heartbeat: 'answer' };
    return { pattern: type, data };
  },
  heartbeat: { ask: () => Buffer.from('0800'), answer: () => Buffer.from('0810') },
};

function textOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  return String(error);
}
