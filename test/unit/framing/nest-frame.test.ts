import { describe, expect, it } from '@jest/globals';
import { nestFrame, NestFrameDecoder } from '../../../lib/framing/nest-frame.js';
import { byteByByte, decodeAll, encodeAll, everySplit, hex, thrownBy } from '../../support/bytes.js';

const LIMIT = 1024 * 1024;
const framing = nestFrame(LIMIT);

/** Texts of every UTF-8 width: 1, 2, 3 and 4 bytes, the last of two UTF-16 units. */
const TEXTS = ['"plain"', '"é"', '"€"', '"😀"', '"a😀é€z"', '{}', '"\u{10ffff}"', '"👩‍👩‍👧‍👦"'];

function decode(text: string | Buffer, limit = LIMIT): string[] {
  return decodeAll(nestFrame(limit), [Buffer.from(text as string)]).map(String);
}

describe('nestFrame', () => {
  it.each<[string, string]>([
    ['"ab"', '4#"ab"'],
    ['"é"', '3#"é"'],
    ['"€"', '3#"€"'],
    ['"😀"', '4#"😀"'],
    ['', '0#'],
  ])('counts %s in UTF-16 units, as the stock transport does', (text, expected) => {
    expect(encodeAll(framing, [Buffer.from(text)]).toString()).toBe(expected);
    expect(decode(expected)).toEqual([text]);
  });

  it('yields the same frames wherever the stream is cut in two', () => {
    const bytes = encodeAll(
      framing,
      TEXTS.map((text) => Buffer.from(text)),
    );

    for (const chunks of everySplit(bytes)) expect(decodeAll(framing, chunks).map(String)).toEqual(TEXTS);
    expect(decodeAll(framing, byteByByte(bytes)).map(String)).toEqual(TEXTS);
  });

  it('takes 12 000 frames in one chunk', () => {
    const texts = Array.from({ length: 12_000 }, (_, i) => `{"id":"${i}","data":"é€"}`);
    const bytes = encodeAll(
      framing,
      texts.map((text) => Buffer.from(text)),
    );

    expect(decodeAll(framing, [bytes]).map(String)).toEqual(texts);
  });

  it.each([
    ['ASCII', 'x'.repeat(LIMIT - 2)],
    ['text of three bytes a character', '€'.repeat(LIMIT / 3 - 2)],
    ['text that begins in ASCII', 'x'.repeat(LIMIT / 2) + '😀'.repeat(LIMIT / 8 - 2)],
  ])('takes 1 MiB of %s byte by byte', (_title, content) => {
    const body = Buffer.from(`"${content}"`);
    const frames = decodeAll(framing, byteByByte(encodeAll(framing, [body])));

    expect(frames).toHaveLength(1);
    expect(frames[0]?.equals(body)).toBe(true);
  });

  it('hands on frames that stay intact when the chunk they came in is written over', () => {
    const chunk = Buffer.from('3#"a"3#"b"');
    const frames = decodeAll(framing, [chunk]);
    chunk.fill(0);

    expect(frames.map(String)).toEqual(['"a"', '"b"']);
  });

  it.each<[string, string]>([
    ['letters', 'GET / HTTP/1.1'],
    ['a TLS hello', '\u0016\u0003\u0001'],
    ['# first', '#{}'],
    ['a sign', '-1#'],
    ['a blank', ' 2#{}'],
    ['a length without end', '12345678901'],
  ])('refuses %s instead of a length, with the bytes in hex', (_title, text) => {
    const { code, message } = thrownBy(() => decode(text));

    expect(code).toBe('PTCP_FRAME_MALFORMED');
    expect(message).toContain(Buffer.from(text).toString('hex'));
  });

  it('refuses garbage as soon as it is seen, also byte by byte and behind whole frames', () => {
    const frames: string[] = [];
    const decoder = framing.createDecoder((frame) => frames.push(String(frame)));
    decoder.push(Buffer.from('2#{}1'));

    expect(
      thrownBy(() => {
        decoder.push(Buffer.from('x'));
      }).message,
    ).toContain('3178');
    expect(frames).toEqual(['{}']);
  });

  it('refuses a frame announced as too large before its body comes', () => {
    expect(thrownBy(() => decode('101#', 100))).toMatchObject({
      code: 'PTCP_FRAME_TOO_LARGE',
      message: 'a frame of 101 bytes is larger than maxFrameBytes (100)',
    });
    expect(decode(`100#${'1'.repeat(100)}`, 100)).toHaveLength(1);
  });

  it('counts the limit in bytes: a frame that is too large only beyond ASCII is refused before its end', () => {
    const decoder = nestFrame(100).createDecoder(() => undefined);
    decoder.push(Buffer.from('90#'));
    decoder.push(Buffer.from('€'.repeat(30)));

    expect(
      thrownBy(() => {
        decoder.push(Buffer.from('€'.repeat(4)));
      }).code,
    ).toBe('PTCP_FRAME_TOO_LARGE');
    expect(thrownBy(() => nestFrame(100).encode(Buffer.from('€'.repeat(34)))).code).toBe('PTCP_FRAME_TOO_LARGE');
  });

  it('refuses a length that ends inside a character', () => {
    expect(thrownBy(() => decode('1#😀'))).toMatchObject({
      code: 'PTCP_FRAME_MALFORMED',
      message: 'the announced length (1) ends inside a character',
    });
    expect(thrownBy(() => decode('3#"😀"')).message).toMatch(/^expected a Nest frame|ends inside a character/);
  });

  it('refuses bytes that are no UTF-8', () => {
    for (const bytes of ['80', 'bf', 'c0 80', 'f8 88 80 80', 'ff']) {
      const body = hex(bytes);
      expect(thrownBy(() => decodeAll(framing, [Buffer.from('9#'), body, Buffer.alloc(9)])).code).toBe(
        'PTCP_FRAME_MALFORMED',
      );
    }
  });

  it.each(['1', '5#', '5#{', '5#{}', '2#{}5#', '2#{}1'])('reports a stream that ends inside a frame: %s', (text) => {
    expect(thrownBy(() => decode(text)).code).toBe('PTCP_FRAME_MALFORMED');
    expect(thrownBy(() => decodeAll(framing, byteByByte(Buffer.from(text)))).code).toBe('PTCP_FRAME_MALFORMED');
  });

  it('lets a stream end between frames', () => {
    expect(decode('')).toEqual([]);
    expect(decode('2#{}')).toEqual(['{}']);
  });
});

describe('a nest frame decoder that is stopped', () => {
  /** Stops at the second frame; returns the frames and what is left. */
  function stopAtSecond(chunks: readonly Buffer[]): { frames: string[]; rest: string } {
    const frames: string[] = [];
    const decoder = new NestFrameDecoder(LIMIT, (bytes, start, end) => {
      frames.push(bytes.toString('utf8', start, end));
      if (frames.length === 2) decoder.stop();
    });
    for (const chunk of chunks) decoder.push(chunk);
    const rest = decoder.takeRest().toString('latin1');
    decoder.end();
    return { frames, rest };
  }

  it('keeps what follows the frame, whatever it is, wherever the stream is cut', () => {
    const bytes = Buffer.concat([Buffer.from('3#"é"2#{}'), hex('00 00 00 02 09 ff')]);

    for (const chunks of [[bytes], byteByByte(bytes), ...everySplit(bytes)]) {
      expect(stopAtSecond(chunks)).toEqual({ frames: ['"é"', '{}'], rest: '\0\0\0\x02\x09\xff' });
    }
  });

  it('keeps what looks like a frame, too', () => {
    expect(stopAtSecond([Buffer.from('2#{}'), Buffer.from('2#{}2#{}2'), Buffer.from('#{}')]).rest).toBe('2#{}2#{}');
  });

  it('has nothing left when the chunk ends with the frame', () => {
    expect(stopAtSecond([Buffer.from('2#{}2#{}')])).toEqual({ frames: ['{}', '{}'], rest: '' });
  });
});
