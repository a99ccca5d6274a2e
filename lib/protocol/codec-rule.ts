import { refuse, rule, type OptionRule } from '../common/options.js';
import { codecNamed, type CodecChoice } from './codecs.js';

/** The rule for `codec`. A codec that was asked for by name must be there. */
export function codecRule(about: { default: CodecChoice; text: string }): OptionRule<CodecChoice> {
  const allowed = "'json', 'msgpack' or 'auto'";
  return rule<CodecChoice>({ ...about, allowed }, (value, path) => {
    if (value !== 'json' && value !== 'msgpack' && value !== 'auto') return refuse(path, value, allowed);
    if (value === 'msgpack') codecNamed(value);
    return value;
  });
}
