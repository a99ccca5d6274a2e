import { describe, expect, it } from '@jest/globals';
import { lengthField, type LengthFieldOptions } from '../../../lib/framing/length-field.js';
import { byteByByte, decodeAll, encodeAll, everySplit, hex } from '../../support/bytes.js';

const HELLO = Buffer.from('HELLO, WORLD');
const HELLO_HEX = HELLO.toString('hex');

describe('lengthField', () => {
  it.each<[LengthFieldOptions, string]>([
    [{ size: 1 }, '0c'],
    [{ size: 1, byteOrder: 'little' }, '0c'],
    [{ size: 2 }, '000c'],
    [{ size: 2, byteOrder: 'little' }, '0c00'],
    [{ size: 3 }, '00000c'],
    [{ size: 3, byteOrder: 'little' }, '0c0000'],
    [{}, '0000000c'],
    [{ size: 4, byteOrder: 'little' }, '0c000000'],
    [{ size: 8 }, '000000000000000c'],
    [{ size: 8, byteOrder: 'little' }, '0c00000000000000'],
    [{ size: 2, encoding: 'ascii' }, '3132'],
    [{ size: 10, encoding: 'ascii' }, '30303030303030303132'],
    [{ size: 1, encoding: 'bcd' }, '12'],
    [{ size: 3, encoding: 'bcd' }, '000012'],
    [{ size: 2, encoding: 'bcd', includesHeader: true }, '0014'],
    [{ size: 4, adjustment: -4 }, '00000010'],
    [{ size: 4, encoding: 'ascii', adjustment: 2 }, '30303130'],
  ])('puts %j before the payload and takes it off again', (options, header) => {
    const framing = lengthField(options);
    const bytes = encodeAll(framing, [HELLO]);

    expect(bytes.toString('hex')).toBe(header + HELLO_HEX);
    expect(decodeAll(framing, [bytes])).toEqual([HELLO]);
  });

  it('fills every byte of the field', () => {
    for (const [size, length] of [
      [1, 0xff],
      [2, 0x1234],
      [3, 0x0a_bc_de],
    ] as const) {
      for (const byteOrder of ['big', 'little'] as const) {
        const framing = lengthField({ size, byteOrder });
        const [header] = framing.encode(Buffer.alloc(length));
        const bigEndian = byteOrder === 'big' ? header : header && Buffer.from(header).reverse();

        expect(bigEndian?.readUIntBE(0, size)).toBe(length);
        expect(decodeAll(framing, [encodeAll(framing, [Buffer.alloc(length)])])[0]).toHaveLength(length);
      }
    }
    expect(lengthField({ size: 3, encoding: 'bcd' }).encode(Buffer.alloc(98_765))[0]).toEqual(hex('09 87 65'));
  });

  // The examples of Netty's LengthFieldBasedFrameDecoder.
  it.each<[string, LengthFieldOptions, string, string]>([
    ['2 bytes length, header kept', { size: 2, strip: 0 }, '000c', '000c'],
    ['2 bytes length, header stripped', { size: 2, strip: 2 }, '000c', ''],
    ['the length of the whole message', { size: 2, adjustment: -2, strip: 0 }, '000e', '000e'],
    ['the same, said with includesHeader', { size: 2, includesHeader: true, strip: 0 }, '000e', '000e'],
    ['3 bytes length at the end of 5 bytes header', { offset: 2, size: 3, strip: 0 }, 'cafe 00000c', 'cafe 00000c'],
    [
      '3 bytes length at the beginning of 5 bytes header',
      { size: 3, adjustment: 2, strip: 0 },
      '00000c cafe',
      '00000c cafe',
    ],
    ['the same with the length stripped', { size: 3, adjustment: 2 }, '00000c cafe', 'cafe'],
    [
      '2 bytes length in the middle of 4 bytes header',
      { offset: 1, size: 2, adjustment: 1, strip: 0 },
      'ca 000c fe',
      'ca 000c fe',
    ],
    [
      'the same with the length of the whole message',
      { offset: 1, size: 2, adjustment: -3, strip: 0 },
      'ca 0010 fe',
      'ca 0010 fe',
    ],
  ])('decodes, and encodes again, Netty’s example: %s', (_title, options, header, kept) => {
    const framing = lengthField(options);
    const bytes = Buffer.concat([hex(header), HELLO]);
    const frame = Buffer.concat([hex(kept), HELLO]);

    expect(decodeAll(framing, [bytes])).toEqual([frame]);
    expect(encodeAll(framing, [frame])).toEqual(bytes);
  });

  it('fills in the field of a payload that carries its own header, without changing the payload', () => {
    const framing = lengthField({ offset: 2, size: 2, strip: 0 });
    const payload = Buffer.concat([hex('cafe 0000'), HELLO]);

    expect(encodeAll(framing, [payload]).toString('hex')).toBe(`cafe000c${HELLO_HEX}`);
    expect(payload.subarray(0, 4)).toEqual(hex('cafe 0000'));
  });

  it('passes the payload through by reference', () => {
    expect(lengthField({}).encode(HELLO)[1]).toBe(HELLO);
  });

  it('hands on frames that stay intact when the chunk they came in is written over', () => {
    const framing = lengthField({ size: 1 });
    const chunk = encodeAll(framing, [Buffer.from('one'), Buffer.from('two')]);
    const frames = decodeAll(framing, [chunk]);
    chunk.fill(0);

    expect(frames.map(String)).toEqual(['one', 'two']);
  });

  it('yields empty frames, several in one chunk, and a frame as large as allowed', () => {
    const framing = lengthField({ size: 2, maxFrameBytes: 12 });
    const payloads = [Buffer.alloc(0), Buffer.from('0123456789'), Buffer.alloc(0), Buffer.from('x')];
    const bytes = encodeAll(framing, payloads);

    expect(decodeAll(framing, [bytes])).toEqual(payloads);
    expect(decodeAll(framing, byteByByte(bytes))).toEqual(payloads);
    for (const chunks of everySplit(bytes)) expect(decodeAll(framing, chunks)).toEqual(payloads);
  });

  it('keeps the connections of one framing apart', () => {
    const framing = lengthField({ size: 1 });
    const [first, second]: string[][] = [[], []];
    const one = framing.createDecoder((frame) => first?.push(String(frame)));
    const two = framing.createDecoder((frame) => second?.push(String(frame)));
    one.push(hex('03 61'));
    two.push(hex('01 62'));
    one.push(hex('61 61'));

    expect([first, second]).toEqual([['aaa'], ['b']]);
  });

  it('takes a frame of 1 MiB byte by byte', () => {
    const framing = lengthField({ size: 4 });
    const payload = Buffer.alloc(1024 * 1024, 'x');

    const frames = decodeAll(framing, byteByByte(encodeAll(framing, [payload])));

    expect(frames).toHaveLength(1);
    expect(frames[0]?.equals(payload)).toBe(true);
  });
});
