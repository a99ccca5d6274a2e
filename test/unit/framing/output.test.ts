import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Output } from '../../../lib/framing/output.js';

const SLAB_BYTES = 64 * 1024;

function taken(output: Output): string {
  return Buffer.concat(output.take()).toString();
}

describe('Output', () => {
  it('gathers everything of one tick into few parts, in order', () => {
    const output = new Output();
    output.appendText('a');
    output.append(Buffer.from('b'));
    const { slab, position } = output.reserve(10);
    output.commit(position + slab.write('c', position));

    expect(output.length).toBe(3);
    const parts = output.take();
    expect(parts).toHaveLength(1);
    expect(Buffer.concat(parts).toString()).toBe('abc');
    expect(output.length).toBe(0);
    expect(output.take()).toEqual([]);
  });

  it('writes text of every width, counted in bytes', () => {
    const output = new Output();
    const text = 'aé€😀\ud83d|';
    output.appendText(text);
    output.appendText(text);

    expect(output.length).toBe(2 * Buffer.byteLength(text));
    expect(taken(output)).toBe(Buffer.from(text + text).toString());
  });

  it('shares what many connections get without a copy and without a slab, and copies once there is a lot of it', () => {
    const output = new Output();
    const shared = Buffer.from('s');
    for (let i = 0; i < 16; i++) output.share(shared);
    const few = output.take();
    expect(few).toHaveLength(16);
    expect(few.every((part) => part === shared)).toBe(true);
    for (let i = 0; i < 40; i++) output.share(shared);
    output.appendText('|');
    output.share(shared);
    expect(output.length).toBe(42);
    const many = output.take();
    expect(many).toHaveLength(17);
    expect(Buffer.concat(many).toString()).toBe(`${'s'.repeat(40)}|s`);
  });

  it('passes large buffers by reference, between what comes before and after', () => {
    const output = new Output();
    const large = Buffer.alloc(16 * 1024, 'x');
    output.appendText('before');
    output.append(large);
    output.appendText('after');
    const parts = output.take();

    expect(parts).toHaveLength(3);
    expect(parts[1]).toBe(large);
    expect(parts.map((part) => part.length)).toEqual([6, large.length, 5]);
  });

  it('copies small buffers, so that they may be changed afterwards', () => {
    const output = new Output();
    const small = Buffer.from('small');
    output.append(small);
    small.fill('x');

    expect(taken(output)).toBe('small');
  });

  it('takes text larger than a slab', () => {
    const output = new Output();
    const text = '€'.repeat(SLAB_BYTES);
    output.appendText('a');
    output.appendText(text);
    output.appendText('b');

    expect(taken(output) === `a${text}b`).toBe(true);
  });

  it('never writes over what it handed out, as long as nobody says that it has left', () => {
    const output = new Output();
    const handedOut: Buffer[] = [];
    for (let i = 0; i < 100; i++) {
      output.appendText(String.fromCharCode(97 + (i % 26)).repeat(3000));
      handedOut.push(...output.take());
      if (i % 3 === 0) output.forget();
    }

    handedOut.forEach((part, i) => {
      expect(part.every((byte) => byte === 97 + (i % 26))).toBe(true);
    });
  });

  it('writes the same slab again once its bytes have left', () => {
    const output = new Output();
    output.appendText('first');
    const [first] = output.take();
    output.recycle();
    output.appendText('again');
    const [again] = output.take();

    expect(again?.buffer).toBe(first?.buffer);
    expect(first?.toString()).toBe('again');
  });

  it('writes all of the slabs again that were filled since, once their bytes have left', () => {
    const output = new Output();
    const fill = (): Set<ArrayBufferLike> => {
      for (let i = 0; i < 4; i++) output.commit(output.reserve(40_000).position + 40_000);
      return new Set(output.take().map(({ buffer }) => buffer));
    };
    const first = fill();
    expect(first.size).toBe(4);
    output.recycle();
    expect([...fill()].filter((slab) => first.has(slab))).toHaveLength(4);
    output.forget();
    expect([...fill()].some((slab) => first.has(slab))).toBe(false);
  });

  it('never lends one slab to two connections, also where there was no memory for another', () => {
    const output = new Output();
    output.appendText('x');
    expect(() => output.reserve(2 ** 53)).toThrow('out of range');
    output.appendText('y');
    expect(taken(output)).toBe('xy');
    output.recycle();
    expect(new Output().reserve(1).slab).not.toBe(new Output().reserve(1).slab);
  });

  it('never lends one slab to two connections', () => {
    const [one, two] = [new Output(), new Output()];
    one.appendText('x');
    one.take();
    one.recycle();
    one.appendText('one');
    two.appendText('two');

    expect(taken(one)).toBe('one');
    expect(taken(two)).toBe('two');
  });

  it('keeps every byte, whatever is appended, taken and recycled in which order', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ action: fc.constant('text' as const), text }) },
      { weight: 3, arbitrary: fc.record({ action: fc.constant('bytes' as const), size: fc.nat({ max: 20_000 }) }) },
      { weight: 2, arbitrary: fc.record({ action: fc.constantFrom('left' as const, 'waits' as const) }) },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 2 }), step), { maxLength: 60 }), (steps) => {
        const wires = Array.from({ length: 3 }, () => ({
          output: new Output(),
          expected: [] as Buffer[],
          copied: [] as Buffer[],
          waiting: [] as Buffer[],
        }));
        let fill = 0;
        for (const [index, action] of steps) {
          const wire = wires[index];
          if (wire === undefined) continue;
          if (action.action === 'text') {
            wire.output.appendText(action.text);
            wire.expected.push(Buffer.from(action.text));
          } else if (action.action === 'bytes') {
            const bytes = Buffer.alloc(action.size, (fill += 1));
            wire.output.append(bytes);
            wire.expected.push(bytes);
          } else {
            // As a connection does: what has left the slab is gone, what waits in the socket must stay as it is.
            wire.waiting.push(...wire.output.take());
            if (action.action === 'left') {
              wire.copied.push(...wire.waiting.map((part) => Buffer.from(part)));
              wire.waiting = [];
              wire.output.recycle();
            } else wire.output.forget();
          }
        }
        for (const { output, expected, copied, waiting } of wires) {
          expect(output.length + [...copied, ...waiting].reduce((sum, part) => sum + part.length, 0)).toBe(
            expected.reduce((sum, part) => sum + part.length, 0),
          );
          const all = Buffer.concat([...copied, ...waiting, ...output.take()]);
          expect(all.equals(Buffer.concat(expected))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});
