import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cmppCodec, framing } from '../../sample/05-cmpp-gateway/cmpp/cmpp-codec.js';
import { messageId, parseMessageId } from '../../sample/05-cmpp-gateway/cmpp/message-id.js';
import { contentsOf, textOf } from '../../sample/05-cmpp-gateway/cmpp/short-message.js';
import { chunksOf } from '../support/bytes.js';
import { runs } from '../support/runs.js';

const ascii = (maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 1, max: 127 }), { maxLength }).map((codes) => String.fromCharCode(...codes));
const byte = fc.integer({ min: 0, max: 255 });
const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const id64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const content = fc.uint8Array({ maxLength: 255 }).map((bytes) => Buffer.from(bytes));

const submit = fc.record({
  msgId: id64,
  pkTotal: byte,
  pkNumber: byte,
  registeredDelivery: byte,
  msgLevel: byte,
  serviceId: ascii(10),
  feeUserType: byte,
  feeTerminalId: ascii(32),
  feeTerminalType: byte,
  tpPid: byte,
  tpUdhi: byte,
  msgFmt: byte,
  msgSrc: ascii(6),
  feeType: ascii(2),
  feeCode: ascii(6),
  validTime: ascii(17),
  atTime: ascii(17),
  srcId: ascii(21),
  destTerminalIds: fc.array(ascii(32), { minLength: 1, maxLength: 99 }),
  destTerminalType: byte,
  msgContent: content,
  linkId: ascii(20),
});
const deliver = fc.record({
  msgId: id64,
  destId: ascii(21),
  serviceId: ascii(10),
  tpPid: byte,
  tpUdhi: byte,
  msgFmt: byte,
  srcTerminalId: ascii(32),
  srcTerminalType: byte,
  registeredDelivery: byte,
  msgContent: content,
  linkId: ascii(20),
});
const connect = fc.record({
  sourceAddr: ascii(6),
  authenticatorSource: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  version: byte,
  timestamp: word,
});
const sequences = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 });

const sp = cmppCodec({ role: 'sp' });
const ismg = cmppCodec({ role: 'ismg' });

describe('CMPP messages, whatever is in them', () => {
  it('are read back as they were written, however the stream is cut', () => {
    const messages = fc.array(
      fc.tuple(
        sequences,
        fc.oneof(
          submit.map((data) => ({ pattern: 'submit', data })),
          connect.map((data) => ({ pattern: 'connect', data })),
        ),
      ),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(messages, cuts, (sent, sizes) => {
        const stream = sent.flatMap(([id, message]) => framing.encode(sp.encode({ kind: 'request', id, ...message })));
        const received: unknown[] = [];
        const decoder = framing.createDecoder((frame) => received.push(ismg.decode(frame)));
        for (const chunk of chunksOf(Buffer.concat(stream), sizes)) decoder.push(chunk);
        expect(received).toEqual(sent.map(([id, message]) => ({ id, ...message })));
      }),
      { numRuns: runs(100) },
    );
  });

  it('are pushed and answered with the numbers they have', () => {
    fc.assert(
      fc.property(sequences, deliver, word, (id, data, result) => {
        const arrived = sp.decode(ismg.encode({ kind: 'push', id, pattern: 'deliver', data }));
        expect(arrived).toEqual({ id, push: 'deliver', pattern: 'deliver', data });
        const answer = sp.encode({ kind: 'reply', id, pattern: 'deliver', data: { msgId: data.msgId, result } });
        expect(ismg.decode(answer)).toMatchObject({ id, data: { msgId: data.msgId, result } });
      }),
      { numRuns: runs(100) },
    );
  });

  it('are read or refused with a message, whatever the bytes', () => {
    const commands = [1, 2, 4, 5, 8].flatMap((id) => [id, id + 0x8000_0000]);
    const body = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(
        fc.constantFrom(...commands),
        sequences,
        body,
        fc.constantFrom(sp, ismg),
        (command, id, rest, codec) => {
          const header = Buffer.alloc(12);
          header.writeUInt32BE(command, 4);
          header.writeUInt32BE(id, 8);
          try {
            expect(codec.decode(Buffer.concat([header, rest]))).toMatchObject({ id });
          } catch (error) {
            expect((error as Error).message).toMatch(/CMPP_[A-Z_]+(:| ends| is nothing)/);
          }
        },
      ),
      { numRuns: runs(300) },
    );
  });

  it('carry texts of any length in parts of at most 140 bytes that make up the text again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 300, size: 'max' }), byte, (text, reference) => {
        const parts = contentsOf(text, reference);
        expect(parts.map(textOf).join('')).toBe(text);
        expect(parts.map(({ pkNumber, pkTotal }) => [pkNumber, pkTotal])).toEqual(
          parts.map((_, i) => [i + 1, parts.length]),
        );
        for (const part of parts) {
          expect(part.msgContent.length).toBeLessThanOrEqual(part.msgFmt === 0 ? 159 : 140);
          expect(part.tpUdhi).toBe(parts.length > 1 ? 1 : 0);
          // No part ends in the first half of a character.
          expect(textOf(part)).not.toMatch(/[\ud800-\udbff]$/);
          if (parts.length > 1) {
            const header = [5, 0, 3, reference, parts.length, part.pkNumber];
            expect([...part.msgContent.subarray(0, 6)]).toEqual(header);
          }
        }
      }),
      { numRuns: runs(200) },
    );
  });

  it('are numbered so that the parts of a number come out as they went in', () => {
    fc.assert(
      fc.property(id64, (id) => {
        expect(messageId(parseMessageId(id))).toBe(id);
      }),
      { numRuns: runs(200) },
    );
  });
});
