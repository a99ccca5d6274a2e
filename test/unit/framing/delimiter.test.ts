import { describe, expect, it } from '@jest/globals';
import { delimiter } from '../../../lib/framing/delimiter.js';
import { untilClose } from '../../../lib/framing/until-close.js';
import { byteByByte, chunksOf, decodeAll, encodeAll, everySplit, hex, thrownBy } from '../../support/bytes.js';

const LINES = ['first', '', 'second line', 'ünï', ''].map((line) => Buffer.from(line));

describe('delimiter', () => {
  it.each<[string, string | Buffer]>([
    ['one byte', '\n'],
    ['two bytes', '\r\n'],
    ['a word', 'END.'],
    ['a character of several bytes', '€'],
    ['bytes', hex('00 ff 00')],
  ])('cuts at %s, wherever the chunks end', (_title, mark) => {
    const framing = delimiter(mark);
    const bytes = encodeAll(framing, LINES);

    expect(decodeAll(framing, [bytes])).toEqual(LINES);
    expect(decodeAll(framing, byteByByte(bytes))).toEqual(LINES);
    for (const chunks of everySplit(bytes)) expect(decodeAll(framing, chunks)).toEqual(LINES);
  });

  it('is not misled by a beginning of itself', () => {
    const framing = delimiter('aab');

    expect(decodeAll(framing, byteByByte(Buffer.from('aaaabxaaab'))).map(String)).toEqual(['aa', 'xa']);
  });

  it('does not look for itself across a frame that has ended', () => {
    expect(decodeAll(delimiter('\n\n'), byteByByte(Buffer.from('a\n\n\n\nb\n\n'))).map(String)).toEqual(['a', '', 'b']);
  });

  it('refuses a payload that contains it', () => {
    expect(thrownBy(() => delimiter('\r\n').encode(Buffer.from('a\r\nb')))).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: expect.stringContaining('0d0a') as unknown,
    });
    expect(delimiter('\r\n').encode(Buffer.from('a\rb\n'))).toHaveLength(2);
  });

  it('refuses a payload whose end would make it begin too early', () => {
    expect(thrownBy(() => delimiter('\n\n').encode(Buffer.from('line\n'))).code).toBe('PTCP_FRAME_MALFORMED');
    expect(thrownBy(() => delimiter('aba').encode(Buffer.from('ab'))).code).toBe('PTCP_FRAME_MALFORMED');
    expect(decodeAll(delimiter('aba'), delimiter('aba').encode(Buffer.from('a')))).toEqual([Buffer.from('a')]);
  });

  it('refuses a frame that grows past the limit before its end has come', () => {
    const framing = delimiter('\r\n', { maxFrameBytes: 5 });
    const frames: string[] = [];
    const decoder = framing.createDecoder((frame) => frames.push(String(frame)));
    decoder.push(Buffer.from('12345\r\n12345\r'));

    expect(frames).toEqual(['12345']);
    expect(
      thrownBy(() => {
        decoder.push(Buffer.from('67'));
      }),
    ).toMatchObject({
      code: 'PTCP_FRAME_TOO_LARGE',
      message: expect.stringMatching(
        /^a frame of 7 bytes or more is larger than maxFrameBytes \(5\); it begins with .*3637$/,
      ) as unknown,
    });
  });

  it('refuses a frame past the limit also when it comes whole', () => {
    const framing = delimiter('\n', { maxFrameBytes: 5 });

    expect(thrownBy(() => decodeAll(framing, [Buffer.from('123456\n')])).code).toBe('PTCP_FRAME_TOO_LARGE');
    expect(thrownBy(() => framing.encode(Buffer.from('123456'))).code).toBe('PTCP_FRAME_TOO_LARGE');
    expect(decodeAll(framing, byteByByte(Buffer.from('12345\n')))).toEqual([Buffer.from('12345')]);
  });

  it('reports a stream that ends inside a frame', () => {
    expect(thrownBy(() => decodeAll(delimiter('\n'), [Buffer.from('a\nbcd')]))).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: expect.stringMatching(/^the stream ended after 3 bytes without a delimiter: [0-9a-f]{6}$/) as unknown,
    });
  });

  it('takes a line of 1 MiB byte by byte', () => {
    const line = Buffer.alloc(1024 * 1024, 'x');
    const frames = decodeAll(delimiter('\r\n'), byteByByte(Buffer.concat([line, hex('0d0a')])));

    expect(frames).toHaveLength(1);
    expect(frames[0]?.equals(line)).toBe(true);
  });

  it('hands on frames that stay intact when the chunk they came in is written over', () => {
    const chunk = Buffer.from('a\nb\n');
    const frames = decodeAll(delimiter('\n'), [chunk]);
    chunk.fill(0);

    expect(frames.map(String)).toEqual(['a', 'b']);
  });

  it('is not changed by changes to the bytes it was made of', () => {
    const mark = Buffer.from('\n');
    const framing = delimiter(mark);
    mark.fill('x');

    expect(decodeAll(framing, [Buffer.from('a\n')])).toEqual([Buffer.from('a')]);
  });

  it('needs at least one byte, and known options', () => {
    expect(thrownBy(() => delimiter('')).message).toBe("delimiter ('') must be at least one byte");
    expect(thrownBy(() => delimiter(Buffer.alloc(0))).code).toBe('PTCP_OPTION_INVALID');
    expect(thrownBy(() => delimiter(10 as unknown as string)).message).toBe(
      'delimiter (10) must be a string or a Buffer',
    );
    expect(thrownBy(() => delimiter('\n', { maxFrameBytes: 0 })).code).toBe('PTCP_OPTION_INVALID');
    expect(thrownBy(() => delimiter('\n', { max: 1 } as object)).code).toBe('PTCP_OPTION_UNKNOWN');
  });
});

describe('untilClose', () => {
  it('makes one frame of the whole stream, at its end', () => {
    const frames: string[] = [];
    const decoder = untilClose().createDecoder((frame) => frames.push(String(frame)));
    for (const chunk of chunksOf(Buffer.from('HTTP/1.0 200 OK'), [4])) decoder.push(chunk);

    expect(frames).toEqual([]);
    decoder.end?.();
    expect(frames).toEqual(['HTTP/1.0 200 OK']);
  });

  it('makes no frame of a stream without a byte', () => {
    expect(decodeAll(untilClose(), [])).toEqual([]);
  });

  it('sends a payload as it is', () => {
    const payload = Buffer.from('x');

    expect(untilClose().encode(payload)).toEqual([payload]);
  });

  it('refuses more than the limit, before it is buffered', () => {
    const framing = untilClose({ maxFrameBytes: 5 });
    const decoder = framing.createDecoder(() => undefined);
    decoder.push(Buffer.from('12345'));

    expect(
      thrownBy(() => {
        decoder.push(Buffer.from('6'));
      }).code,
    ).toBe('PTCP_FRAME_TOO_LARGE');
    expect(thrownBy(() => framing.encode(Buffer.alloc(6))).code).toBe('PTCP_FRAME_TOO_LARGE');
  });
});
