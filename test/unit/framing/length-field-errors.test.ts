import { describe, expect, it } from '@jest/globals';
import { lengthField, type LengthFieldOptions } from '../../../lib/framing/length-field.js';
import { decodeAll, hex, thrownBy } from '../../support/bytes.js';

/** What a fresh decoder throws at these bytes. */
function decodeError(options: LengthFieldOptions, bytes: string): { code: string; message: string } {
  return thrownBy(() => {
    lengthField(options)
      .createDecoder(() => undefined)
      .push(hex(bytes));
  });
}

describe('a length field that announces nonsense', () => {
  it('refuses a frame that is too large as soon as its header is there', () => {
    expect(decodeError({ maxFrameBytes: 100 }, '00000061')).toMatchObject({
      code: 'PTCP_FRAME_TOO_LARGE',
      message: 'a frame of 101 bytes is larger than maxFrameBytes (100); its header is 00000061',
    });
    expect(decodeError({ size: 8 }, '001f ffff ffff ffff').code).toBe('PTCP_FRAME_TOO_LARGE');
    expect(decodeError({ size: 10, encoding: 'ascii' }, '39393939393939393939').code).toBe('PTCP_FRAME_TOO_LARGE');
  });

  it('refuses it also when the header arrives in pieces, behind frames that are whole', () => {
    const frames: string[] = [];
    const decoder = lengthField({ size: 2, maxFrameBytes: 10 }).createDecoder((frame) => frames.push(String(frame)));
    decoder.push(hex('0001 61 ff'));

    expect(
      thrownBy(() => {
        decoder.push(hex('ff'));
      }).code,
    ).toBe('PTCP_FRAME_TOO_LARGE');
    expect(frames).toEqual(['a']);
  });

  it('refuses a frame shorter than its own header, with the bytes in hex', () => {
    expect(decodeError({ size: 2, includesHeader: true }, '0001 6161')).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: 'the length field makes a frame of 1 bytes, shorter than its own header (2): 0001',
    });
    expect(decodeError({ offset: 1, size: 2, adjustment: -10, strip: 0 }, 'ca 0005').code).toBe('PTCP_FRAME_MALFORMED');
  });

  it('refuses digits that are none, with the bytes in hex', () => {
    expect(decodeError({ size: 4, encoding: 'ascii' }, '30 30 31 2f')).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: 'the length field should be 4 decimal digits, got the bytes 3030312f',
    });
    expect(decodeError({ size: 2, encoding: 'ascii' }, '20 35').message).toContain('2035');
    for (const bytes of ['1a 00', 'a1 00', '00 ff']) {
      expect(decodeError({ size: 2, encoding: 'bcd' }, bytes).message).toBe(
        `the length field should be 4 binary-coded decimal digits, got the bytes ${bytes.replace(' ', '')}`,
      );
    }
    expect(decodeError({ size: 8 }, '0020 0000 0000 0000')).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: expect.stringContaining('0020000000000000') as unknown,
    });
  });

  it('says how much was missing when the stream ends inside a frame', () => {
    expect(thrownBy(() => decodeAll(lengthField({}), [hex('00 00')]))).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: 'the stream ended 2 bytes short of a whole frame',
    });
    expect(thrownBy(() => decodeAll(lengthField({ size: 1 }), [hex('05 61'), hex('62')])).message).toBe(
      'the stream ended 3 bytes short of a whole frame',
    );
    expect(thrownBy(() => decodeAll(lengthField({ size: 1 }), [hex('01 61 05')])).message).toContain('5 bytes short');
  });

  it('lets a stream end between frames', () => {
    expect(decodeAll(lengthField({ size: 1 }), [])).toEqual([]);
    expect(decodeAll(lengthField({ size: 1 }), [hex('01'), hex('61')])).toHaveLength(1);
  });
});

describe('a payload that does not fit', () => {
  it('is refused when the frame would be larger than allowed', () => {
    const framing = lengthField({ size: 2, maxFrameBytes: 10 });

    expect(framing.encode(Buffer.alloc(8))).toHaveLength(2);
    expect(thrownBy(() => framing.encode(Buffer.alloc(9)))).toMatchObject({
      code: 'PTCP_FRAME_TOO_LARGE',
      message: 'a frame of 11 bytes is larger than maxFrameBytes (10)',
    });
  });

  it('is refused when the field cannot hold its length', () => {
    const cases: [LengthFieldOptions, number][] = [
      [{ size: 1 }, 255],
      [{ size: 1, includesHeader: true }, 254],
      [{ size: 2, encoding: 'ascii' }, 99],
      [{ size: 1, encoding: 'bcd' }, 99],
      [{ size: 2 }, 65_535],
    ];
    for (const [options, most] of cases) {
      const framing = lengthField(options);
      expect(framing.encode(Buffer.alloc(most))).toHaveLength(2);
      expect(thrownBy(() => framing.encode(Buffer.alloc(most + 1))).code).toBe('PTCP_FRAME_TOO_LARGE');
    }
  });

  it('is refused when it should carry its own header and is too short for it', () => {
    expect(thrownBy(() => lengthField({ offset: 2, size: 2, strip: 0 }).encode(Buffer.alloc(3)))).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: 'a frame needs at least 4 bytes, so that it carries its own header; got 3',
    });
  });

  it('is refused, and not called too large, when it lacks bytes that the length leaves out', () => {
    expect(thrownBy(() => lengthField({ size: 2, adjustment: 2 }).encode(Buffer.alloc(1)))).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: expect.stringContaining('-1') as unknown,
    });
  });
});

describe('options of lengthField', () => {
  it.each<[object, string, string]>([
    [{ size: 5 }, 'PTCP_OPTION_CONFLICT', "lengthField.size (5) must be 1, 2, 3, 4 or 8 with encoding 'uint'"],
    [{ size: 9 }, 'PTCP_OPTION_CONFLICT', "lengthField.size (9) must be 1, 2, 3, 4 or 8 with encoding 'uint'"],
    [{ size: 6, encoding: 'bcd' }, 'PTCP_OPTION_CONFLICT', "lengthField.size (6) must be 1 to 5 with encoding 'bcd'"],
    [{ size: 0 }, 'PTCP_OPTION_INVALID', 'lengthField.size (0) must be a whole number from 1 to 10'],
    [
      { size: 11, encoding: 'ascii' },
      'PTCP_OPTION_INVALID',
      'lengthField.size (11) must be a whole number from 1 to 10',
    ],
    [{ encoding: 'hex' }, 'PTCP_OPTION_INVALID', "lengthField.encoding ('hex') must be one of 'uint', 'ascii', 'bcd'"],
    [{ byteOrder: 'BE' }, 'PTCP_OPTION_INVALID', "lengthField.byteOrder ('BE') must be one of 'big', 'little'"],
    [{ strip: -1 }, 'PTCP_OPTION_INVALID', 'lengthField.strip (-1) must be a whole number, 0 or more'],
    [{ lenght: 4 }, 'PTCP_OPTION_UNKNOWN', 'lengthField.lenght is not an option'],
    [{ size: 2, strip: 3 }, 'PTCP_OPTION_CONFLICT', 'lengthField.strip (3) is greater than the header (2 bytes)'],
    [{ size: 2, strip: 1 }, 'PTCP_OPTION_CONFLICT', 'lengthField.strip (1) cuts through the header; use 0 or 2'],
    [{ offset: 2, size: 2 }, 'PTCP_OPTION_CONFLICT', 'lengthField.offset (2) needs strip: 0'],
    [{ offset: 2, size: 2, strip: 2 }, 'PTCP_OPTION_CONFLICT', 'lengthField.offset (2) needs strip: 0'],
    [{ offset: 2, size: 2, strip: 4 }, 'PTCP_OPTION_CONFLICT', 'lengthField.offset (2) needs strip: 0, or prefix'],
    [{ prefix: 'CAFE' }, 'PTCP_OPTION_INVALID', "lengthField.prefix ('CAFE') must be a Buffer"],
    [
      { offset: 2, size: 2, strip: 4, prefix: Buffer.from('x') },
      'PTCP_OPTION_CONFLICT',
      'lengthField.prefix has 1 bytes and lengthField.offset is 2',
    ],
    [
      { offset: 2, size: 2, strip: 0, prefix: Buffer.from('xx') },
      'PTCP_OPTION_CONFLICT',
      'with strip: 0 the payload carries these bytes itself',
    ],
  ])('refuse %j', (options, code, message) => {
    const error = thrownBy(() => lengthField(options));

    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  it('never advise what they refuse next', () => {
    const { message } = thrownBy(() => lengthField({ offset: 2, size: 2, strip: 3 }));

    expect(message).toContain('strip: 0');
    expect(message).not.toContain('or less');
  });
});
