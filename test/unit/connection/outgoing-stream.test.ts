import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OutgoingStream, type StreamWriter } from '../../../lib/connection/outgoing-stream.js';
import type { CallId, EncodedMessage } from '../../../lib/protocol/messages.js';
import { settled } from '../../support/step-clock.js';

/** Items are numbers, and each takes as many bytes as it says. */
class FakeWriter implements StreamWriter {
  readonly written: unknown[] = [];
  held = 0;
  #isWritable = true;
  #waiting: (() => void)[] = [];

  constructor(readonly hasCredit = true) {}

  get isWritable(): boolean {
    return this.#isWritable;
  }

  /** Call-backs that wait for the socket. */
  get waiting(): number {
    return this.#waiting.length;
  }

  setWritable(isWritable: boolean): void {
    this.#isWritable = isWritable;
    if (!isWritable) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }

  whenWritable(callback: () => void): void {
    if (this.#isWritable) callback();
    else this.#waiting.push(callback);
  }

  item(_id: CallId, data: unknown): number {
    if (typeof data !== 'number') throw new Error('no bytes');
    this.written.push(data);
    return this.hasCredit ? data : 0;
  }

  encodeItem(_id: CallId, data: unknown): EncodedMessage {
    return { bytes: data as number, parts: [Buffer.from(String(data))] };
  }

  writeEncoded(_id: CallId, { bytes }: EncodedMessage): void {
    this.written.push(bytes);
    this.held -= bytes;
  }

  hold(bytes: number): void {
    this.held += bytes;
  }
}

function streamOf(credit: number, writer = new FakeWriter()) {
  const stream = new OutgoingStream(1, writer, credit);
  let resolved = 0;
  const wait = (): void => {
    void stream.whenWritable().then(() => (resolved += 1));
  };
  return { stream, writer, wait, resolved: () => resolved };
}

describe('a stream on its way out', () => {
  it('sends while any credit is left, so that one item may be larger than all of it', () => {
    const { stream, writer } = streamOf(10);
    stream.item(4);
    expect(stream.isWritable).toBe(true);
    stream.item(100);
    expect(stream.isWritable).toBe(false);
    stream.item(1);
    expect(writer.written).toEqual([4, 100]);
    expect(writer.held).toBe(1);
  });

  it('pays its debt before it goes on', () => {
    const { stream, writer } = streamOf(10);
    stream.item(30);
    stream.item(1);
    stream.credited(20);
    expect(writer.written).toEqual([30]);
    stream.credited(1);
    expect(writer.written).toEqual([30, 1]);
    expect(writer.held).toBe(0);
    expect(stream.isWritable).toBe(false);
    stream.credited(1);
    expect(stream.isWritable).toBe(true);
  });

  it('sends no more of what waits than there is credit for, in order', () => {
    const { stream, writer } = streamOf(1);
    for (const item of [1, 5, 6, 7]) stream.item(item);
    stream.credited(8);
    expect(writer.written).toEqual([1, 5, 6]);
    expect(writer.held).toBe(7);
    // What comes meanwhile queues behind.
    stream.item(2);
    stream.credited(100);
    expect(writer.written).toEqual([1, 5, 6, 7, 2]);
    expect(writer.held).toBe(0);
  });

  it('takes nothing of its credit for an item that has no bytes', () => {
    const { stream, writer } = streamOf(10);
    expect(() => {
      stream.item('bad');
    }).toThrow('no bytes');
    stream.item(10);
    expect(writer.written).toEqual([10]);
    expect(stream.isWritable).toBe(false);
  });

  it('ends at once where nothing waits, and otherwise after what does', () => {
    const ended: string[] = [];
    const quick = streamOf(10).stream;
    quick.finish(() => ended.push('quick'));
    expect(ended).toEqual(['quick']);

    const { stream, writer } = streamOf(1);
    stream.item(1);
    stream.item(2);
    stream.item(3);
    stream.finish(() => ended.push(`after ${writer.written.join()}`));
    stream.credited(1);
    expect(ended).toEqual(['quick']);
    stream.credited(2);
    expect(ended).toEqual(['quick', 'after 1,2,3']);
    stream.credited(100);
    stream.item(9);
    expect(ended).toHaveLength(2);
    expect(writer.written).toEqual([1, 2, 3]);
    expect(stream.isWritable).toBe(true);
  });

  it('drops what waits, its end too, and lets go of whoever waits', async () => {
    const { stream, writer, wait, resolved } = streamOf(1);
    stream.item(1);
    stream.item(5);
    stream.finish(() => {
      throw new Error('must not be called');
    });
    wait();
    stream.drop();
    expect(writer.held).toBe(0);
    stream.credited(100);
    stream.item(1);
    await settled();
    expect(resolved()).toBe(1);
    expect(writer.written).toEqual([1]);
  });

  it('has no need of credit where the peer gives none, and goes by the socket alone', async () => {
    const { stream, writer, wait, resolved } = streamOf(0, new FakeWriter(false));
    for (let i = 0; i < 5; i++) stream.item(1_000);
    expect(writer.written).toHaveLength(5);
    expect(writer.held).toBe(0);
    writer.setWritable(false);
    expect(stream.isWritable).toBe(false);
    wait();
    await settled();
    expect(resolved()).toBe(0);
    writer.setWritable(true);
    await settled();
    expect(resolved()).toBe(1);
  });
});

describe('room for a stream', () => {
  it('is there once the receiver has taken something, for all who wait', async () => {
    const { stream, wait, resolved } = streamOf(5);
    stream.item(5);
    wait();
    wait();
    await settled();
    expect(resolved()).toBe(0);
    stream.credited(1);
    await settled();
    expect(resolved()).toBe(2);
  });

  it('is not there while items wait, even when the socket drains', async () => {
    const { stream, writer, wait, resolved } = streamOf(1);
    stream.item(1);
    stream.item(1);
    writer.setWritable(false);
    wait();
    writer.setWritable(true);
    await settled();
    expect(resolved()).toBe(0);
    stream.credited(2);
    await settled();
    expect(resolved()).toBe(1);
  });

  it('comes when the socket was filled by others between the wait and the credit', async () => {
    const { stream, writer, wait, resolved } = streamOf(1);
    stream.item(1);
    wait();
    writer.setWritable(false);
    stream.credited(10);
    await settled();
    expect(resolved()).toBe(0);
    writer.setWritable(true);
    await settled();
    expect(resolved()).toBe(1);
  });

  it('asks the socket once, however many wait', () => {
    const { writer, wait } = streamOf(10);
    writer.setWritable(false);
    for (let i = 0; i < 100; i++) wait();
    expect(writer.waiting).toBe(1);
  });

  it('always comes in the end, whatever comes first, and the order is kept', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('item' as const), bytes: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ do: fc.constant('credit' as const), bytes: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ do: fc.constantFrom('wait' as const, 'full' as const, 'drain' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { stream, writer, wait, resolved } = streamOf(20);
        const sent: number[] = [];
        let waits = 0;
        for (const action of steps) {
          if (action.do === 'item') {
            sent.push(action.bytes);
            stream.item(action.bytes);
          } else if (action.do === 'credit') stream.credited(action.bytes);
          else if (action.do === 'wait') {
            waits += 1;
            wait();
          } else writer.setWritable(action.do === 'drain');
        }
        expect(writer.written).toEqual(sent.slice(0, writer.written.length));
        expect(writer.held).toBe(sent.slice(writer.written.length).reduce((sum, bytes) => sum + bytes, 0));
        stream.credited(10_000);
        writer.setWritable(true);
        for (let i = 0; i < 3; i++) await Promise.resolve();
        expect(resolved()).toBe(waits);
        expect(writer.written).toEqual(sent);
        expect(writer.held).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
