import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonCodec } from '../../../lib/protocol/json-codec.js';
import { codecNamed } from '../../../lib/protocol/codecs.js';
import { PAYLOAD, PAYLOAD_MASK, TYPE } from '../../../lib/protocol/native/format.js';
import { fromUtf8, toUtf8 } from '../../../lib/protocol/utf8.js';
import { thrownBy } from '../../support/bytes.js';
import { message, nativeFrame, nativeWire, uint16, uint32 } from './harness.js';

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
