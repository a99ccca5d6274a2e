import { refuse, rule, type OptionRule } from '../common/options.js';
import type { ProtocolChoice, ProtocolName } from './protocol.js';

/** What a user writes for `protocol`. */
export type ProtocolOption = 'auto' | ProtocolChoice;

/** The rule for `protocol`, the same at both ends. */
export function protocolRule(text: string): OptionRule<'auto' | ProtocolName> {
  const allowed = "'auto', native() or nestJson()";
  return rule<'auto' | ProtocolName>({ default: 'auto', allowed, text }, (value, path) => {
    if (value === 'auto') return 'auto';
    const name = typeof value === 'object' && value !== null && 'protocol' in value ? value.protocol : undefined;
    return name === 'native' || name === 'nest-json' ? name : refuse(path, value, allowed);
  });
}
