import { describe, expect, it } from '@jest/globals';
import { fixedLength } from '../../../lib/framing/fixed-length.js';
import { byteByByte, decodeAll, encodeAll, everySplit, hex, thrownBy } from '../../support/bytes.js';

const records = [Buffer.from('one '), Buffer.from('two '), Buffer.from('six ')];

describe('fixedLength', () => {
  it('adds nothing to what is encoded, and gives it back at every split and byte by byte', () => {
    const framing = fixedLength(4);
    const stream = encodeAll(framing, records);

    expect(String(stream)).toBe('one two six ');
    for (const split of everySplit(stream)) expect(decodeAll(framing, split)).toEqual(records);
    expect(decodeAll(framing, byteByByte(stream))).toEqual(records);
  });

  it('refuses a payload of any other length', () => {
    expect(thrownBy(() => fixedLength(4).encode(hex('01 02 03')))).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: 'a frame has 4 bytes, and the payload 3; fill it up, or cut it, in the codec',
    });
    expect(thrownBy(() => fixedLength(4).encode(hex('01 02 03 04 05'))).code).toBe('PTCP_FRAME_MALFORMED');
  });

  it('says how much was missing when the stream ends inside a frame', () => {
    expect(thrownBy(() => decodeAll(fixedLength(4), [hex('01 02 03 04 05')])).message).toBe(
      'the stream ended 3 bytes short of a whole frame',
    );
  });

  it.each([[0], [-1], [1.5], ['4'], [undefined]])('refuses a length of %s', (length) => {
    expect(thrownBy(() => fixedLength(length as number))).toMatchObject({ code: 'PTCP_OPTION_INVALID' });
  });
});
