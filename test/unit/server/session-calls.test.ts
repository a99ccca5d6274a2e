import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { CallId } from '../../../lib/protocol/messages.js';
import { SessionCalls } from '../../../lib/server/session-calls.js';
import type { ServerCall } from '../../../lib/server/server-call.js';

/** The table looks at the id only. */
const callOf = (id: CallId): ServerCall => ({ id }) as ServerCall;

describe('the calls of a session', () => {
  it('agree with a map through any sequence, whatever ids the client chooses', () => {
    // Numbers that share a place in the table (0, 64, 128, …), numbers that are none of ours, and texts.
    const id = fc.oneof(
      fc.nat(40),
      fc.nat(40).map((n) => n * 64),
      fc.constantFrom<CallId>(-1, 0.5, NaN, Infinity, 2 ** 32 - 1, 2 ** 40, 'a', '1', '__proto__', ''),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(id, fc.boolean()), { maxLength: 500 }), (steps) => {
        const calls = new SessionCalls();
        const model = new Map<CallId, ServerCall>();
        for (const [key, isNew] of steps) {
          const known = model.get(key);
          expect(calls.get(key)).toBe(known);
          if (known !== undefined) {
            expect(calls.remove(known)).toBe(true);
            expect(calls.remove(known)).toBe(false);
            model.delete(key);
          } else if (isNew) {
            const call = callOf(key);
            calls.add(call);
            model.set(key, call);
          }
          expect(calls.size).toBe(model.size);
        }
        expect(new Set(calls.values())).toEqual(new Set(model.values()));
        calls.clear();
        expect(calls.size).toBe(0);
        expect(calls.values()).toEqual([]);
      }),
    );
  });

  it('are handed over in the order of their numbers', () => {
    const calls = new SessionCalls();
    for (let id = 1; id <= 68; id++) {
      const call = callOf(id);
      calls.add(call);
      if (id <= 60) calls.remove(call);
    }
    expect(calls.values().map(({ id }) => id)).toEqual([61, 62, 63, 64, 65, 66, 67, 68]);
  });

  it('leaves a call alone that has the id of one that is over', () => {
    for (const id of [7, 'seven']) {
      const calls = new SessionCalls();
      const first = callOf(id);
      calls.add(first);
      calls.remove(first);
      const second = callOf(id);
      calls.add(second);
      expect(calls.remove(first)).toBe(false);
      expect(calls.get(id)).toBe(second);
    }
  });
});
