import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LinkedList, type Linked } from '../../../lib/common/linked-list.js';

class Item implements Linked<Item> {
  previous: Item | undefined;
  next: Item | undefined;
  list: object | undefined;

  constructor(readonly number: number) {}
}

function listOf(...items: Item[]): LinkedList<Item> {
  const list = new LinkedList<Item>();
  for (const item of items) list.addLast(item);
  return list;
}

describe('LinkedList', () => {
  it('keeps the order in which items are added at either end', () => {
    const [a, b, c] = [new Item(1), new Item(2), new Item(3)];
    const list = listOf(b, c);
    list.addFirst(a);

    expect([...list]).toEqual([a, b, c]);
    expect(list).toMatchObject({ size: 3, first: a, last: c });
  });

  it('refuses an item that already sits in a list', () => {
    const item = new Item(1);
    const list = listOf(item);

    expect(() => {
      list.addLast(item);
    }).toThrow('already sits in a list');
    expect(() => {
      new LinkedList<Item>().addFirst(item);
    }).toThrow('already sits in a list');
    expect([...list]).toEqual([item]);
  });

  it('removes only what it holds, and says whether it did', () => {
    const [a, b] = [new Item(1), new Item(2)];
    const [list, other] = [listOf(a), listOf(b)];

    expect(list.remove(b)).toBe(false);
    expect(list.remove(a)).toBe(true);
    expect(list.remove(a)).toBe(false);
    expect([...other]).toEqual([b]);
    expect(a).toEqual(new Item(1));
  });

  it('lets the current item be removed while iterating', () => {
    const list = listOf(new Item(1), new Item(2), new Item(3), new Item(4));
    for (const item of list) if (item.number % 2 === 0) list.remove(item);

    expect([...list].map(({ number }) => number)).toEqual([1, 3]);
  });

  it('behaves as an array does, whatever is done to it', () => {
    const step = fc.record({ action: fc.constantFrom('first', 'last', 'remove'), item: fc.nat({ max: 7 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const items = Array.from({ length: 8 }, (_, i) => new Item(i));
        const list = new LinkedList<Item>();
        let model: Item[] = [];
        for (const { action, item: index } of steps) {
          const item = items[index] ?? new Item(-1);
          const isIn = model.includes(item);
          if (action === 'remove') {
            expect(list.remove(item)).toBe(isIn);
            model = model.filter((other) => other !== item);
          } else if (!isIn) {
            if (action === 'first') list.addFirst(item);
            else list.addLast(item);
            model = action === 'first' ? [item, ...model] : [...model, item];
          }
          expect([...list].map(({ number }) => number)).toEqual(model.map(({ number }) => number));
          expect(list.size).toBe(model.length);
          expect(list.first).toBe(model[0]);
          expect(list.last).toBe(model.at(-1));
        }
      }),
    );
  });
});
