import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CallTable } from '../../../lib/common/call-table.js';
import { Slots } from '../../../lib/common/slots.js';

class NumberedCall {
  id = 0;
}

describe('the table of calls', () => {
  it('finds each call by its number until it is taken, however many there are', () => {
    const table = new CallTable<NumberedCall>();
    const calls = Array.from({ length: 1_000 }, () => new NumberedCall());
    for (const call of calls) table.add(call);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(1_000);
    for (const call of calls) expect(table.get(call.id)).toBe(call);
    for (const call of calls) expect(table.take(call.id)).toBe(call);
    for (const call of calls) expect(table.take(call.id)).toBeUndefined();
    expect(table.size).toBe(0);
  });

  it('never gives a number again while calls come and go around one that stays', () => {
    const table = new CallTable<NumberedCall>();
    const staying = new NumberedCall();
    table.add(staying);
    const seen = new Set([staying.id]);
    for (let i = 0; i < 10_000; i++) {
      const call = new NumberedCall();
      table.add(call);
      expect(seen.has(call.id)).toBe(false);
      seen.add(call.id);
      table.take(call.id);
    }
    expect(table.get(staying.id)).toBe(staying);
  });

  it('finds nobody for a number of another call that shares its place', () => {
    const table = new CallTable<NumberedCall>();
    const call = new NumberedCall();
    table.add(call);
    expect(table.get(call.id + 64)).toBeUndefined();
    expect(table.take(call.id + 64)).toBeUndefined();
    expect(table.get(call.id + 2 ** 31)).toBeUndefined();
    expect(table.size).toBe(1);
  });

  it('hands all calls over in the order of their numbers', () => {
    const table = new CallTable<NumberedCall>();
    const calls = Array.from({ length: 100 }, () => new NumberedCall());
    for (const call of calls) table.add(call);
    expect(table.drain()).toEqual(calls);
    expect(table.size).toBe(0);
    expect(table.drain()).toEqual([]);
  });

  it('keeps no places of a burst for when nothing is in flight', () => {
    const slots = new Slots<NumberedCall>();
    const calls = Array.from({ length: 5_000 }, (_, id) => ({ id }));
    for (const call of calls) {
      slots.reserve();
      slots.put(call.id, call);
    }
    expect(slots.places).toBe(16_384);
    for (const { id } of calls) slots.take(id);
    expect(slots.places).toBe(0);
    slots.reserve();
    expect(slots.isFree(1)).toBe(true);
    slots.put(1, { id: 1 });
    expect(slots.take(1)).toEqual({ id: 1 });
    expect(slots.places).toBe(64);
  });

  it('agrees with a map through any sequence', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(500), { nil: undefined }), { maxLength: 2_000 }), (steps) => {
        const table = new CallTable<NumberedCall>();
        const model = new Map<number, NumberedCall>();
        for (const step of steps) {
          if (step === undefined) {
            const call = new NumberedCall();
            table.add(call);
            expect(model.has(call.id)).toBe(false);
            model.set(call.id, call);
          } else {
            expect(table.take(step)).toBe(model.get(step));
            model.delete(step);
          }
          expect(table.size).toBe(model.size);
        }
        expect(table.drain()).toEqual([...model.values()]);
      }),
    );
  });
});
