import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DecodedMessage, ForeignMessage, MessageCodec } from '../../../lib/index.js';
import { stationCodec } from '../../../sample/04-bank-gateway/gateway/station.js';
import { bankCodec } from '../../../sample/04-bank-gateway/wire/codec.js';
import {
  decodeFields,
  encodeFields,
  FieldError,
  lengthOf,
  type Field,
  type Layout,
} from '../../../sample/04-bank-gateway/wire/fields.js';
import { MESSAGES, type MessageName } from '../../../sample/04-bank-gateway/wire/messages.js';

const NAMES = (Object.keys(MESSAGES) as MessageName[]).filter((name) => name !== 'echo');

/** Any value of a field, as it comes back from the wire: digits have their zeros, text has no space at its end. */
function valueOf({ kind, length }: Field): fc.Arbitrary<unknown> {
  if (kind === 'amount') return fc.bigInt(0n, 10n ** BigInt(length) - 1n);
  if (kind === 'digits') return fc.stringMatching(new RegExp(`^[0-9]{${length}}$`));
  return fc.string({ unit: 'grapheme-ascii', maxLength: length }).map((text) => text.replace(/ +$/, ''));
}

function valuesOf(layout: Layout): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(Object.fromEntries(layout.map((field) => [field.name, valueOf(field)])));
}

const anyOf = (way: 'request' | 'reply') =>
  fc.constantFrom(...NAMES).chain((name) => fc.tuple(fc.constant(name), valuesOf(MESSAGES[name][way])));

function problemOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof FieldError) return error.message;
    throw error;
  }
  return 'none';
}

const throughWire = (message: ForeignMessage, codec: MessageCodec = bankCodec): DecodedMessage =>
  codec.decode(bankCodec.encode(message));

describe('the fields of a message', () => {
  it('come back as they were given, whatever they hold, from exactly as many bytes as the layout has', () => {
    fc.assert(
      fc.property(anyOf('request'), ([name, values]) => {
        const layout: Layout = MESSAGES[name].request;
        const bytes = encodeFields(layout, values as never);
        expect(bytes).toHaveLength(lengthOf(layout));
        expect(bytes).toMatch(/^[ -~]*$/);
        expect({ ...decodeFields(layout, Buffer.from(bytes)) }).toEqual({ ...values });
      }),
    );
  });

  it('are padded with zeros on the left, or with spaces on the right', () => {
    const { request } = MESSAGES.transfer;
    const values = { reference: 'R-1', from: '1', to: '22', currency: 'EUR', amount: 1250n, purpose: 'a cake' };
    expect(encodeFields(request, values)).toBe(
      `R-1                 00000000010000000022EUR000000001250a cake${' '.repeat(29)}`,
    );
  });

  it.each<[string, Partial<Record<string, unknown>>, string]>([
    ['too long', { reference: 'x'.repeat(21) }, 'reference: holds 20 characters, and 21 were given'],
    ['too large', { amount: 10n ** 12n }, 'amount: holds 12 characters, and 13 were given'],
    ['negative', { amount: -1n }, 'amount: wants decimal digits'],
    ['a floating point number', { amount: 12.5 }, 'amount: wants a bigint, and got number'],
    ['missing', { to: undefined }, 'to: wants a string, and got undefined'],
    ['no digits', { from: 'DE12' }, 'from: wants decimal digits'],
    ['empty where digits are due', { from: '' }, 'from: wants decimal digits'],
    ['not ASCII', { purpose: 'für Anna' }, 'purpose: wants printable ASCII'],
    ['a line break', { purpose: 'a\n' }, 'purpose: wants printable ASCII'],
    ['at its end a space', { purpose: 'a ' }, 'purpose: ends in a space, which nothing tells from the padding'],
  ])('are refused by name where a value is %s', (_, wrong, problem) => {
    const right = { reference: 'R-1', from: '1', to: '2', currency: 'EUR', amount: 1n, purpose: '' };
    expect(problemOf(() => encodeFields(MESSAGES.transfer.request, { ...right, ...wrong }))).toBe(problem);
  });

  it('are refused by name where bytes are missing, too many, or not of their kind', () => {
    const { reply } = MESSAGES.balance;
    const read = (bytes: string): string => problemOf(() => decodeFields(reply, Buffer.from(bytes, 'latin1')));
    expect(read('0000000001EUR000000100000')).toBe('none');
    expect(read('0000000001EUR00000010000')).toBe('balance: needs 12 bytes and has 11');
    expect(read('0000000001')).toBe('currency: needs 3 bytes and has 0');
    expect(read('0000000001EUR0000001000000')).toBe('end: 1 bytes too many');
    expect(read('00000000x1EUR000000100000')).toBe('account: wants decimal digits');
    expect(read('0000000001E\xdcR000000100000')).toBe('currency: wants printable ASCII');
  });
});

describe('the codec of the bank', () => {
  it('brings every request to the host and every reply back', () => {
    fc.assert(
      fc.property(anyOf('request'), anyOf('reply'), ([asked, request], [answered, reply]) => {
        expect(throughWire({ kind: 'request', pattern: asked, data: request })).toEqual({
          pattern: asked,
          data: { ...request },
        });
        expect(throughWire({ kind: 'reply', pattern: answered, data: reply })).toEqual({ data: { ...reply } });
      }),
    );
  });

  it.each<[string, unknown, object]>([
    ['a refusal', { responseCode: '51', message: 'no money' }, { responseCode: '51', message: 'no money' }],
    [
      'one whose text is too long, or not ASCII',
      { responseCode: '96', message: `für ${'x'.repeat(50)}` },
      { responseCode: '96', message: `f?r ${'x'.repeat(36)}` },
    ],
    ['no handler', { code: 'PTCP_NO_HANDLER' }, { responseCode: '12', message: 'no such transaction' }],
    ['a full host', { code: 'PTCP_SERVER_OVERLOADED' }, { responseCode: '91', message: 'host not available' }],
    [
      'a defect, whose text stays at home',
      { status: 'error', message: 'secret' },
      { responseCode: '96', message: 'system malfunction' },
    ],
  ])('answers %s with a response code', (_, error, refusal) => {
    const request = { pattern: 'transfer' };
    expect(throughWire({ kind: 'error', pattern: 'transfer', error, request })).toEqual({ error: refusal });
  });

  it('leaves a request that does not fit its layout to a handler, which answers it as what it was meant to be', () => {
    const request = bankCodec.decode(Buffer.from('020012'));
    expect(request).toEqual({
      pattern: 'malformed',
      data: { name: 'transfer', problem: 'reference: needs 20 bytes and has 2' },
    });
    const answer = bankCodec.encode({ kind: 'error', pattern: 'malformed', error: undefined, request });
    expect(answer.toString()).toMatch(/^021096system malfunction *$/);
  });

  it.each([
    ['a type that there is not', '9998'],
    ['a reply that is cut short', '01100000000000'],
    ['a response code that there is not', `011077${' '.repeat(40)}`],
    ['nothing at all', ''],
  ])('refuses %s, which costs the connection', (_, payload) => {
    expect(() => bankCodec.decode(Buffer.from(payload))).toThrow();
  });

  it('takes no request at the gateway for the reply to another', () => {
    const gateway = stationCodec('GATEWAY1');
    expect(() => gateway.decode(Buffer.from('01000000000001'))).toThrow('a request, and the host makes none');
    expect(() => gateway.decode(Buffer.from('0840'))).toThrow('a request, and the host makes none');
    expect(gateway.decode(Buffer.from('085000'))).toEqual({ heartbeat: 'answer' });
  });
});
