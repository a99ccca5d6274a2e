import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonCodec } from '../../../lib/protocol/json-codec.js';
import { codecNamed } from '../../../lib/protocol/codecs.js';
import { FRAGMENT_FLAG, PAYLOAD, PAYLOAD_MASK, TYPE } from '../../../lib/protocol/native/format.js';
import { NativeClientProtocol } from '../../../lib/protocol/native/native-client.js';
import { fromUtf8, toUtf8 } from '../../../lib/protocol/utf8.js';
import { chunksOf, thrownBy } from '../../support/bytes.js';
import { collectGarbage } from '../../support/collect-garbage.js';
import { StepClock } from '../../support/step-clock.js';
import {
  MAX_FRAME_BYTES,
  MemoryWriter,
  clientSink,
  message,
  nativeFrame,
  nativeWire,
  uint16,
  uint32,
} from './harness.js';

/** From here on a text is a payload of a kind of its own. */
const LONG = 16 * 1024;

describe('a long text', () => {
  it.each<[string, string]>([
    ['ASCII', 'x'.repeat(LONG)],
    ['quotes and line ends, which JSON would escape', '"\\\n\0'.repeat(LONG / 4)],
    ['Latin-1', 'é'.repeat(LONG)],
    ['characters of three bytes', '€'.repeat(LONG)],
    ['pairs of surrogates', '𝄞'.repeat(LONG)],
    ['one character that is not ASCII, the last', 'x'.repeat(LONG) + 'é'],
    ['a byte order mark', '\ufeff' + 'x'.repeat(LONG)],
  ])('arrives as it was sent and is no JSON: %s', (_title, text) => {
    for (const codec of [jsonCodec, codecNamed('msgpack')]) {
      const wire = nativeWire({ codec });
      wire.client.request(1, message('p', text), 0);
      const bytes = wire.clientWriter.take();
      expect((bytes[5] ?? 0) & PAYLOAD_MASK).toBe(PAYLOAD.text);
      expect(bytes.includes(Buffer.from(text))).toBe(true);
      wire.server.receive(bytes);
      expect(wire.serverHeard).toEqual([['request', 1, 'p', text, undefined, undefined]]);
      wire.server.response(1, text);
      expect(wire.toClient()).toEqual([['response', 1, text]]);
    }
  });

  it('is JSON where UTF-8 cannot say it: half of a surrogate pair arrives as it was', () => {
    const wire = nativeWire();
    const text = 'x'.repeat(LONG) + '\ud800';
    wire.client.request(1, message('p', text), 0);
    expect((wire.clientWriter.take()[5] ?? 0) & PAYLOAD_MASK).toBe(PAYLOAD.json);
    wire.server.response(1, text);
    expect(wire.toClient()).toEqual([['response', 1, text]]);
  });

  it('of any length is read, also an empty one, from a peer that sends short ones so', () => {
    const wire = nativeWire();
    wire.client.receive(nativeFrame(TYPE.response, PAYLOAD.text, uint32(1), ''));
    wire.client.receive(nativeFrame(TYPE.response, PAYLOAD.text, uint32(2), 'né'));
    wire.client.receive(nativeFrame(TYPE.response, PAYLOAD.text, uint32(3), Buffer.from([0x61, 0xff])));
    wire.client.receive(nativeFrame(TYPE.push, PAYLOAD.text, uint16(1), 'qtext'));
    expect(wire.clientHeard).toEqual([
      ['response', 1, ''],
      ['response', 2, 'né'],
      ['response', 3, 'a\ufffd'],
      ['push', 'q', 'text'],
    ]);
  });
});

describe('a text that goes in fragments', () => {
  const KIB = 1024;
  const large = 'é€𝄞x'.repeat(50 * KIB);

  /** Delivers what is written in chunks of such sizes, which are overwritten after, until all has come. */
  function deliverIn(sizes: readonly number[], from: { take(): Buffer }, to: { receive(chunk: Buffer): void }): void {
    for (const part of chunksOf(from.take(), sizes)) {
      const chunk = Buffer.from(part);
      to.receive(chunk);
      chunk.fill(0xff);
    }
  }

  it('arrives as it was sent, in every message that can carry one, however the bytes are cut', () => {
    const sizes = fc.array(fc.oneof(fc.constantFrom(1, 5, 6, 9, 10, 11, 17), fc.integer({ min: 200, max: 70 * KIB })), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(sizes, (cuts) => {
        if (cuts.every((size) => size < 200)) cuts.push(30 * KIB);
        const { client, server, clientWriter, serverWriter, clientHeard, serverHeard } = nativeWire();
        // The first spells its pattern out; metadata has a length of its own; the last has neither.
        client.request(1, message('p', large), 100);
        client.request(2, message('p', 'small'), 0);
        client.request(3, message('p', large, { trace: 'id' }), 100);
        client.request(4, message('p', large), 100);
        client.request(5, message('p', large), 0);
        void client.event(message('p', large));
        client.item(5, large);
        client.flush();
        deliverIn(cuts, clientWriter, server);
        expect(serverHeard.filter(([method]) => method !== 'credit')).toEqual([
          ['request', 2, 'p', 'small', undefined, undefined],
          ['request', 1, 'p', large, undefined, 100],
          ['request', 3, 'p', large, { trace: 'id' }, 100],
          ['request', 4, 'p', large, undefined, 100],
          ['request', 5, 'p', large, undefined, undefined],
          ['event', 'p', large, undefined],
          ['item', 5, large],
        ]);
        server.response(1, large);
        server.item(5, large);
        server.item(5, 'after');
        server.failure(3, 'handler', large);
        server.flush();
        deliverIn(cuts, serverWriter, client);
        expect(clientHeard.filter(([method]) => method !== 'credit')).toEqual([
          ['response', 1, large],
          ['item', 5, large],
          ['item', 5, 'after'],
          ['failure', 3, 'handler', large],
        ]);
        expect([clientWriter.held, serverWriter.held]).toEqual([0, 0]);
      }),
      { numRuns: 25 },
    );
  });

  it('counts for credit with all of its bytes', () => {
    const items: number[] = [];
    const { server, serverWriter } = nativeWire();
    const client = new NativeClientProtocol(
      new MemoryWriter(),
      { ...clientSink([]), item: (_id, _data, bytes) => items.push(bytes) },
      { clock: new StepClock(), maxFrameBytes: MAX_FRAME_BYTES, peerMaxFrameBytes: MAX_FRAME_BYTES, maxPatterns: 1 },
    );
    const sent = server.item(1, large);
    server.flush();
    client.receive(serverWriter.take());
    expect(items).toEqual([sent]);
    expect(sent).toBe(6 + 4 + Buffer.byteLength(large));
  });

  it('stays bytes at a server until it is whole, where clients that never end it cannot fill the heap', () => {
    const bytes = Buffer.alloc(4 * 1024 * KIB, 0xff);
    const whole = Buffer.concat([Buffer.from([TYPE.item, PAYLOAD.text]), uint32(1), bytes]);
    const begun = nativeFrame(
      TYPE.fragment,
      PAYLOAD.raw | FRAGMENT_FLAG.first,
      uint32(whole.length),
      whole.subarray(0, whole.length - 1),
    );
    const wires = Array.from({ length: 8 }, () => nativeWire());
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (const { server } of wires) server.receive(begun);
    collectGarbage();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(4 * 1024 * KIB);
    expect(wires[0]?.server.partialMessage?.bytes).toBe(whole.length - 1);
  });

  it('fills the window and the slabs that it is written to', () => {
    const { server, serverWriter } = nativeWire();
    server.response(1, 'x'.repeat(1024 * KIB));
    const parts = serverWriter.output.take();
    expect(parts.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(127 * KIB);
    expect(parts.length).toBeLessThanOrEqual(3);
  });

  it('is watched as any message in fragments, and forgotten when it is called off', () => {
    const { client, server, clientWriter, serverHeard } = nativeWire();
    client.request(1, message('p'), 0);
    client.request(2, message('p', large), 0);
    server.receive(clientWriter.take());
    const sent = server.partialMessage?.bytes ?? 0;
    expect(sent).toBeGreaterThan(100 * KIB);
    expect(sent).toBeLessThan(129 * KIB);
    client.cancel(2);
    server.receive(clientWriter.take());
    expect(server.partialMessage).toBeUndefined();
    client.request(3, message('p', large), 0);
    client.flush();
    server.receive(clientWriter.take());
    expect(serverHeard.filter(([method]) => method === 'request').map(([, id, , data]) => [id, data])).toEqual([
      [1, undefined],
      [3, large],
    ]);
  });

  it('is put together from fragments of any size that another implementation may send', () => {
    const text = `${'a'.repeat(20 * KIB)}é€𝄞`;
    const whole = nativeFrame(TYPE.response, PAYLOAD.text, uint32(7), text).subarray(4);
    for (const first of [1, 2, 3, 5, 6, 7, 20 * KIB + 7, 20 * KIB + 9]) {
      const { client, clientHeard } = nativeWire();
      const last = Array.from({ length: 12 }, (_, i) => whole.length - i);
      const ends = [...new Set([first, ...last])].filter((end) => end >= first).sort((a, b) => a - b);
      ends.forEach((end, i) => {
        const part = whole.subarray(ends[i - 1] ?? 0, end);
        client.receive(
          i === 0
            ? nativeFrame(TYPE.fragment, PAYLOAD.raw | FRAGMENT_FLAG.first, uint32(whole.length), part)
            : nativeFrame(TYPE.fragment, PAYLOAD.raw, part),
        );
      });
      expect(clientHeard).toEqual([['response', 7, text]]);
    }
  });

  it('is refused before anything is sent when it is larger than the peer takes, counted in bytes', () => {
    const wire = nativeWire({ clientMaxFrameBytes: 6 + 4 + 3 * 200 * KIB });
    const fits = '€'.repeat(200 * KIB);
    const refused = thrownBy(() => {
      wire.server.response(1, fits + 'x');
    });
    expect(refused.code).toBe('PTCP_FRAME_TOO_LARGE');
    expect(wire.serverWriter.take()).toHaveLength(0);
    expect(wire.serverWriter.held).toBe(0);
    wire.server.response(2, fits);
    wire.server.flush();
    expect(wire.toClient()).toEqual([['response', 2, fits]]);
  });
});

describe('UTF-8', () => {
  it('is written and read as Buffer does it', () => {
    const unit = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(unit, fc.nat(2), fc.nat(100), (text, padding, before) => {
        const long = 'x'.repeat(padding * LONG) + text;
        const bytes = toUtf8(long);
        expect(bytes.equals(Buffer.from(long, 'utf8'))).toBe(true);
        const around = Buffer.concat([Buffer.alloc(before, 0xff), bytes, Buffer.alloc(3, 0xff)]);
        expect(fromUtf8(around, before, before + bytes.length)).toBe(bytes.toString('utf8'));
      }),
      { numRuns: 300 },
    );
  });
});

describe('a structure of MessagePack', () => {
  it('that a refused message would have told is told with the next, whatever was sent between', () => {
    for (const between of [Buffer.from('raw'), 'x'.repeat(LONG)]) {
      const wire = nativeWire({ codec: codecNamed('msgpack'), serverMaxFrameBytes: 32 * 1024 });
      const shape = (note: string) => ({ shape: 1, note });
      wire.client.request(1, message('p', shape('first seen')), 0);
      // Seen again, it would be told; but this one is refused.
      const refused = thrownBy(() => {
        wire.client.request(2, message('p', shape('x'.repeat(40 * 1024))), 0);
      });
      expect(refused.code).toBe('PTCP_FRAME_TOO_LARGE');
      wire.client.request(3, message('p', between), 0);
      wire.client.request(4, message('p', shape('third')), 0);
      wire.client.request(5, message('p', shape('fourth')), 0);
      expect(wire.toServer().map(([, id, , data]) => [id, data])).toEqual([
        [1, shape('first seen')],
        [3, between],
        [4, shape('third')],
        [5, shape('fourth')],
      ]);
    }
  });
});
