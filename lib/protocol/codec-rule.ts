import { refuse, rule, type OptionRule } from '../common/options.js';
import { codecNamed, type CodecChoice } from './codecs.js';
import { isMessageCodec, type MessageCodec } from './foreign/message-codec.js';

/** What a user writes for `codec`: that of the native protocol, or, beside `framing`, that of a foreign one. */
export type CodecOption = CodecChoice | MessageCodec;

const HOOKS = ['onConnect', 'onClose', 'onPush', 'onAccept', 'goaway'] as const;

/** The rule for `codec`. A codec that was asked for by name must be there. */
export function codecRule(about: { default: CodecChoice; text: string }): OptionRule<CodecOption> {
  const allowed = "'json', 'msgpack', 'auto', or a MessageCodec beside framing";
  return rule<CodecOption>({ ...about, allowed }, (value, path) => {
    if (typeof value === 'object' && value !== null) return checkedMessageCodec(value, path);
    if (value !== 'json' && value !== 'msgpack' && value !== 'auto') return refuse(path, value, allowed);
    if (value === 'msgpack') codecNamed(value);
    return value;
  });
}

function checkedMessageCodec(codec: object, path: string): MessageCodec {
  if (!isMessageCodec(codec))
    return refuse(path, codec, 'an object with the methods encode(message) and decode(frame)');
  const { correlation, maxId, heartbeat } = codec;
  if (correlation !== undefined && !['id', 'serial'].includes(correlation))
    refuse(`${path}.correlation`, correlation, "'id' or 'serial'");
  if (maxId !== undefined && !(Number.isSafeInteger(maxId) && maxId > 0))
    refuse(`${path}.maxId`, maxId, 'a whole number, 1 or more');
  if (heartbeat !== undefined && typeof (heartbeat as Partial<typeof heartbeat> | null)?.ask !== 'function')
    refuse(`${path}.heartbeat`, heartbeat, 'an object with a method ask(id)');
  for (const hook of HOOKS) {
    const given = (codec as Partial<Record<(typeof HOOKS)[number], unknown>>)[hook];
    if (given !== undefined && typeof given !== 'function') refuse(`${path}.${hook}`, given, 'a function');
  }
  return codec;
}
