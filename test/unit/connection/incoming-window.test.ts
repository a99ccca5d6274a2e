import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { IncomingWindow } from '../../../lib/connection/incoming-window.js';
import { thrownBy } from '../../support/bytes.js';

describe('the window of a stream that arrives', () => {
  it('gives credit back from half a window on, and all of it at once', () => {
    const window = new IncomingWindow(100);
    window.arrived(90);
    expect(window.taken(49)).toBe(0);
    expect(window.taken(1)).toBe(50);
    expect(window.taken(40)).toBe(0);
  });

  it('takes an item larger than itself, and none after it until that is taken', () => {
    const window = new IncomingWindow(100);
    window.arrived(99);
    window.arrived(5_000);
    const { code, message } = thrownBy(() => {
      window.arrived(1);
    });
    expect(code).toBe('PTCP_PROTOCOL_VIOLATION');
    expect(message).toContain('100 bytes');
    expect(window.taken(99)).toBe(99);
    expect(() => {
      window.arrived(1);
    }).toThrow('more of a stream than it had credit for');
    expect(window.taken(5_000)).toBe(5_000);
    window.arrived(100);
  });

  it('of one byte gives each item back', () => {
    const window = new IncomingWindow(1);
    window.arrived(7);
    expect(window.taken(7)).toBe(7);
  });

  it('never leaves a sender without credit whose items have all been taken, and never accuses one that obeys', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 2_000 }), isTakenFirst: fc.boolean() }), {
          maxLength: 100,
        }),
        (windowBytes, items) => {
          const window = new IncomingWindow(windowBytes);
          const waiting: number[] = [];
          let credit = windowBytes;
          const takeAll = (): void => {
            for (const bytes of waiting.splice(0)) credit += window.taken(bytes);
          };
          for (const { bytes, isTakenFirst } of items) {
            if (isTakenFirst) takeAll();
            if (credit <= 0) takeAll();
            expect(credit).toBeGreaterThan(0);
            credit -= bytes;
            window.arrived(bytes);
            waiting.push(bytes);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
