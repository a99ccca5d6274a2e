import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PooledTcpError } from '../../lib/errors/pooled-tcp-error.js';
import { delimiter } from '../../lib/framing/delimiter.js';
import { fixedLength } from '../../lib/framing/fixed-length.js';
import type { Framing } from '../../lib/framing/framing.js';
import { lengthField, type LengthFieldOptions } from '../../lib/framing/length-field.js';
import { nestFrame } from '../../lib/framing/nest-frame.js';
import { untilClose } from '../../lib/framing/until-close.js';
import { chunksOf, decodeAll, encodeAll } from '../support/bytes.js';

/** How a stream is cut: chunk sizes, over and over; `[1]` is byte by byte. */
const cuts = fc.oneof(
  { weight: 1, arbitrary: fc.constant([1]) },
  { weight: 4, arbitrary: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }) },
);
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));
const payloads = fc.array(bytes, { maxLength: 12 });

/** A field that holds lengths up to 70, in any of the formats. */
const layouts: fc.Arbitrary<LengthFieldOptions> = fc
  .record({
    field: fc.oneof(
      fc.record({
        encoding: fc.constant('uint' as const),
        size: fc.constantFrom(1, 2, 3, 4, 8),
        byteOrder: fc.constantFrom('big' as const, 'little' as const),
      }),
      fc.record({ encoding: fc.constant('ascii' as const), size: fc.integer({ min: 2, max: 10 }) }),
      fc.record({ encoding: fc.constant('bcd' as const), size: fc.integer({ min: 1, max: 5 }) }),
    ),
    includesHeader: fc.boolean(),
    adjustment: fc.integer({ min: -8, max: 0 }),
  })
  .map(({ field, ...rest }) => ({ ...field, ...rest }));

function expectSame(actual: readonly Buffer[], expected: readonly Buffer[]): void {
  expect(actual.map((frame) => frame.toString('hex'))).toEqual(expected.map((frame) => frame.toString('hex')));
}

describe('any framing, however the stream is cut', () => {
  it('lengthField yields what was encoded', () => {
    fc.assert(
      fc.property(layouts, payloads, cuts, (options, sent, sizes) => {
        const framing = lengthField(options);
        expectSame(decodeAll(framing, chunksOf(encodeAll(framing, sent), sizes)), sent);
      }),
    );
  });

  it('lengthField with the header kept yields frames that encode to the same bytes', () => {
    fc.assert(
      fc.property(layouts, fc.nat({ max: 6 }), payloads, cuts, (options, offset, sent, sizes) => {
        const framing = lengthField({ ...options, offset, strip: 0 });
        const header = Buffer.alloc(offset + (options.size ?? 4), 0x5a);
        const stream = encodeAll(
          framing,
          sent.map((payload) => Buffer.concat([header, payload])),
        );
        const frames = decodeAll(framing, chunksOf(stream, sizes));

        expect(frames).toHaveLength(sent.length);
        expectSame([encodeAll(framing, frames)], [stream]);
      }),
    );
  });

  it('lengthField with a prefix yields what was encoded, and refuses any other beginning', () => {
    const magic = fc.uint8Array({ minLength: 1, maxLength: 6 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(
        layouts,
        magic,
        fc.array(bytes, { minLength: 1, maxLength: 12 }),
        cuts,
        (options, prefix, sent, sizes) => {
          const framing = lengthField({ ...options, offset: prefix.length, prefix });
          const stream = encodeAll(framing, sent);
          expectSame(decodeAll(framing, chunksOf(stream, sizes)), sent);

          stream[0] = (prefix[0] ?? 0) ^ 1;
          expect(outcome(framing, chunksOf(stream, sizes))).toEqual({ frames: [], error: 'PTCP_FRAME_MALFORMED' });
        },
      ),
    );
  });

  it('fixedLength yields what was encoded', () => {
    const sized = fc.integer({ min: 1, max: 40 }).chain((size) =>
      fc.record({
        size: fc.constant(size),
        sent: fc.array(
          fc.uint8Array({ minLength: size, maxLength: size }).map((array) => Buffer.from(array)),
          { maxLength: 12 },
        ),
      }),
    );
    fc.assert(
      fc.property(sized, cuts, ({ size, sent }, sizes) => {
        const framing = fixedLength(size);
        expectSame(decodeAll(framing, chunksOf(encodeAll(framing, sent), sizes)), sent);
      }),
    );
  });

  it('each says how much of a frame has begun, 0 between frames, whatever the cut', () => {
    const framings = [lengthField({ size: 2 }), fixedLength(7), delimiter('\r\n'), untilClose()];
    fc.assert(
      fc.property(
        fc.constantFrom(...framings),
        fc.array(fc.constant(Buffer.from('payload')), { maxLength: 5 }),
        cuts,
        (framing, sent, sizes) => {
          let frames = 0;
          let emitted = 0;
          const decoder = framing.createDecoder(() => (frames += 1));
          for (const chunk of chunksOf(encodeAll(framing, sent), sizes)) {
            decoder.push(chunk);
            emitted += chunk.length;
            const whole = framing.encode(Buffer.from('payload')).reduce((sum, { length }) => sum + length, 0);
            expect(decoder.partialBytes).toBe(emitted - frames * whole);
          }
        },
      ),
    );
  });

  it('delimiter yields what was encoded, whatever the delimiter', () => {
    const letters = fc.array(fc.constantFrom(0x61, 0x62), { maxLength: 10 }).map((array) => Buffer.from(array));
    const mark = fc.array(fc.constantFrom(0x61, 0x62, 0x0a), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(mark, fc.array(letters, { maxLength: 8 }), cuts, (end, candidates, sizes) => {
        const framing = delimiter(Buffer.from(end));
        const sent = candidates.filter((payload) => isEncodable(framing, payload));
        expectSame(decodeAll(framing, chunksOf(encodeAll(framing, sent), sizes)), sent);
      }),
      { numRuns: 500 },
    );
  });

  it('untilClose yields the whole stream', () => {
    fc.assert(
      fc.property(bytes, cuts, (sent, sizes) => {
        expectSame(decodeAll(untilClose(), chunksOf(sent, sizes)), sent.length === 0 ? [] : [sent]);
      }),
    );
  });

  it('nestFrame yields what was encoded, in any script', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string());
    fc.assert(
      fc.property(fc.array(text, { maxLength: 12 }), cuts, (texts, sizes) => {
        const framing = nestFrame(1024);
        const sent = texts.map((one) => Buffer.from(JSON.stringify(one)));
        expectSame(decodeAll(framing, chunksOf(encodeAll(framing, sent), sizes)), sent);
      }),
    );
  });

  it('each takes any bytes, or refuses them with an error of ours', () => {
    const framings = [
      lengthField({ size: 1, maxFrameBytes: 64 }),
      lengthField({ size: 2, encoding: 'ascii', maxFrameBytes: 64 }),
      lengthField({ size: 1, encoding: 'bcd', includesHeader: true, maxFrameBytes: 64 }),
      fixedLength(5),
      delimiter('\n', { maxFrameBytes: 64 }),
      untilClose({ maxFrameBytes: 64 }),
      nestFrame(64),
    ];
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc
        .string({ unit: fc.constantFrom('1', '2', '#', '{', '}', 'é', '😀', '\n'), maxLength: 100 })
        .map((one) => Buffer.from(one)),
    );
    fc.assert(
      fc.property(fc.constantFrom(...framings), noise, cuts, (framing, stream, sizes) => {
        // The outcome must not depend on the cut either.
        expect(outcome(framing, chunksOf(stream, sizes))).toEqual(outcome(framing, chunksOf(stream, [1])));
      }),
      { numRuns: 1000 },
    );
  });
});

function isEncodable(framing: Framing, payload: Buffer): boolean {
  try {
    framing.encode(payload);
    return true;
  } catch {
    return false;
  }
}

/** Frames in hex, and the code of the error that ended it. */
function outcome(framing: Framing, chunks: readonly Buffer[]): { frames: string[]; error: string | undefined } {
  const frames: string[] = [];
  const decoder = framing.createDecoder((frame) => frames.push(frame.toString('hex')));
  try {
    for (const chunk of chunks) decoder.push(chunk);
    decoder.end?.();
  } catch (error) {
    if (!(error instanceof PooledTcpError)) throw error;
    return { frames, error: error.code };
  }
  return { frames, error: undefined };
}
