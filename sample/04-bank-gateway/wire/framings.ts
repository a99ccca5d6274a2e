import { lengthField, type Framing } from '../../../lib/index.js';

const maxFrameBytes = 1_024;

/** How frames are cut: all that the two variants of the protocol differ in. */
export const FRAMINGS = {
  /** Four ASCII digits: `0014` and 14 bytes. */
  ascii: lengthField({ size: 4, encoding: 'ascii', maxFrameBytes }),
  /** Two bytes of BCD, so four digits as well: `00 14` in hex, and 14 bytes. */
  bcd: lengthField({ size: 2, encoding: 'bcd', maxFrameBytes }),
} as const satisfies Record<string, Framing>;

export type FramingName = keyof typeof FRAMINGS;

/** @throws Error when there is no such framing */
export function framingName(name: string): FramingName {
  if (Object.hasOwn(FRAMINGS, name)) return name as FramingName;
  throw new Error(`'${name}' is no framing; choose ${Object.keys(FRAMINGS).join(' or ')}`);
}
