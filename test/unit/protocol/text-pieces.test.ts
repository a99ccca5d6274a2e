import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { TextPieces } from '../../../lib/protocol/native/text-pieces.js';
import { TextSource } from '../../../lib/protocol/native/text-source.js';
import { chunksOf } from '../../support/bytes.js';
import { collectGarbage } from '../../support/collect-garbage.js';

const KIB = 1024;

/** Texts of characters of every width, some long enough to be pieces of their own. */
const texts = fc
  .array(
    fc.tuple(
      fc.constantFrom('x', 'é', '€', '𝄞', 'ab\0\n"', '\ufeff', '\ufffd'),
      fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 12_000 })),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((runs) => runs.map(([unit, count]) => unit.repeat(count)).join(''));

function piecesOf(bytes: Buffer, sizes: readonly number[]): TextPieces {
  const pieces = new TextPieces();
  for (const part of chunksOf(bytes, sizes)) {
    // Where it lies in a chunk must not matter, nor what becomes of the chunk.
    const chunk = Buffer.concat([Buffer.from('??'), part, Buffer.from('?')]);
    pieces.append(chunk, 2, chunk.length - 1);
    chunk.fill(0xff);
  }
  return pieces;
}

describe('a text in pieces', () => {
  it('is the text, wherever it was cut', () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 40 * KIB })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(texts, sizes, (text, cuts) => {
        const bytes = Buffer.from(text);
        const pieces = piecesOf(bytes, cuts);
        expect(pieces.bytes).toBe(bytes.length);
        expect(pieces.end() === text).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('has U+FFFD for what is no UTF-8, as a text in one piece has', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.constant(new Uint8Array(20 * KIB).fill(0x61)))),
        fc.integer({ min: 1, max: 20 * KIB }),
        (parts, cut) => {
          const bytes = Buffer.concat(parts);
          expect(piecesOf(bytes, [cut]).end() === bytes.toString('utf8')).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is empty where nothing came', () => {
    expect(new TextPieces().end()).toBe('');
    expect(piecesOf(Buffer.alloc(0), [1]).bytes).toBe(0);
  });

  it('says so when it is longer than a text can be, and holds none of it', () => {
    const pieces = new TextPieces();
    const chunk = Buffer.alloc(1024 * KIB, 'x');
    for (let i = 0; i < 512; i++) pieces.append(chunk, 0, chunk.length);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 64; i++) pieces.append(chunk, 0, chunk.length);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(16 * 1024 * KIB);
    expect(() => pieces.end()).toThrow(RangeError);
    expect(pieces.bytes).toBe(576 * 1024 * KIB);
  });

  it('takes about the memory of its characters, also when it comes byte by byte: a string for each would be thirty times that', () => {
    const letter = Buffer.from('x');
    const pieces = new TextPieces();
    collectGarbage();
    const before = process.memoryUsage();
    for (let i = 0; i < 4 * 1024 * KIB; i++) pieces.append(letter, 0, 1);
    collectGarbage();
    const after = process.memoryUsage();
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(16 * 1024 * KIB);
    expect(pieces.end()).toHaveLength(4 * 1024 * KIB);
  });
});

describe('pieces that are too small', () => {
  it('are gathered in one place, for all of the text', () => {
    const allocate = jest.spyOn(Buffer, 'allocUnsafeSlow');
    try {
      const pieces = new TextPieces();
      const chunk = Buffer.alloc(1448, 'x');
      for (let i = 0; i < 1000; i++) pieces.append(chunk, 0, chunk.length);
      expect(pieces.end()).toHaveLength(1_448_000);
      expect(allocate.mock.calls).toEqual([[16 * KIB]]);
    } finally {
      allocate.mockRestore();
    }
  });
});

describe('a text on its way out', () => {
  it('is its UTF-8, with no character cut, however little room there is', () => {
    const rooms = fc.array(fc.oneof(fc.integer({ min: 4, max: 12 }), fc.integer({ min: 4, max: 70 * KIB })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(texts, rooms, fc.nat(20), (text, sizes, before) => {
        const source = new TextSource(text);
        const expected = Buffer.from(text);
        expect(source.length).toBe(expected.length);
        const written: Buffer[] = [];
        for (let i = 0; source.left > 0; i++) {
          const room = Math.min(sizes[i % sizes.length] ?? 4, source.left);
          const slab = Buffer.alloc(before + room + 5, '?');
          const bytes = source.writeTo(slab, before, room);
          const around = slab.toString('latin1', 0, before) + slab.toString('latin1', before + room);
          // A loop of thousands: an expect for each would take most of its time.
          if (bytes > room || bytes < Math.max(1, room - 3)) throw new Error(`${bytes} bytes where ${room} fit`);
          if (around !== '?'.repeat(before + 5)) throw new Error('it wrote outside its room');
          written.push(slab.subarray(before, before + bytes));
        }
        expect(Buffer.concat(written).equals(expected)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});
