import { describe, expect, it } from '@jest/globals';
import type { DecodedMessage, MessageCodec } from '../../../lib/index.js';
import {
  authenticatorIsmg,
  authenticatorSource,
  isSame,
  timestampOf,
} from '../../../sample/05-cmpp-gateway/cmpp/authenticator.js';
import { cmppCodec, framing, type Traffic } from '../../../sample/05-cmpp-gateway/cmpp/cmpp-codec.js';
import { messageId, MessageIds, parseMessageId } from '../../../sample/05-cmpp-gateway/cmpp/message-id.js';
import { RESULT } from '../../../sample/05-cmpp-gateway/cmpp/results.js';
import { readReport, REPORT, reportTime } from '../../../sample/05-cmpp-gateway/cmpp/status-report.js';
import { emptyDeliver } from '../../../sample/05-cmpp-gateway/cmpp/messages.js';

/*
 * Made with Python's struct and hashlib from the tables of the specification. CONNECT_RESP and SUBMIT are, byte
 * for byte, what the tests of github.com/bigwhite/gocmpp have for the same values.
 */
const zeros = (bytes: number): string => '00'.repeat(bytes);
const MSG_ID = 0xb2b4fdc003e90102n;
const REPORT_BYTES = [
  `b2b4fdc003e90102 44454c49565244 32363131323231333330 32363131323231333331`,
  `3133353030303032363936${zeros(21)} 0000002a`,
].join('');
const SHORT_REPORT_BYTES = [
  `b2b4fdc003e90102 44454c49565244 32363131323231333330 32363131323231333331`,
  `3133353030303032363936${zeros(10)} 0000002a`,
].join('');
const FRAMES = {
  connect: '00000027 00000001 00000017 393030303031 90d00c1d517abd0b4f65f6bcf8535d16 30 3cdc73be',
  connectResp: '00000021 80000001 00000017 00000000 7942977274098cf210ab0c16c367bc8d 30',
  connectRefused: `00000021 80000001 00000017 00000003 ${zeros(16)} 00`,
  submit: [
    `000000e1 00000004 00000017 ${zeros(8)} 01 01 01 01 74657374${zeros(6)} 02`,
    `3133353030303032363936${zeros(21)} 00 00 00 08 393030303031 3032 3130${zeros(4)}`,
    `3135313130353133313535353130312b${zeros(1)} ${zeros(17)} 393030303031${zeros(15)} 01`,
    `3133353030303032363936${zeros(21)} 00 1e`,
    `6d4b8bd50067006f0063006d007000700020007300750062006d00690074 ${zeros(20)}`,
  ].join(''),
  submitResp: '00000018 80000004 00000017 b2b4fdc003e90102 00000000',
  submitRefused: `00000018 80000004 00000017 ${zeros(8)} 00000008`,
  deliver: [
    `000000b4 00000005 00000007 b2b4fdc003e90103 3130363930303031${zeros(13)} 74657374${zeros(6)} 00 00 00`,
    `3133353030303032363936${zeros(21)} 00 01 47 ${REPORT_BYTES} ${zeros(20)}`,
  ].join(''),
  deliverResp: '00000018 80000005 00000007 b2b4fdc003e90103 00000000',
  terminate: '0000000c 00000002 00000009',
  terminateResp: '0000000c 80000002 00000009',
  activeTest: '0000000c 00000008 0000000a',
  activeTestResp: '0000000d 80000008 0000000a 00',
} as const;

const NO_DESTINATION = FRAMES.submit.replace(` 01${FRAMES.submit.split(' 01').at(-1) ?? ''}`, ` 00${zeros(32)}`);

const authenticator = Buffer.from('90d00c1d517abd0b4f65f6bcf8535d16', 'hex');
const connect = { sourceAddr: '900001', authenticatorSource: authenticator, version: 0x30, timestamp: 1_021_080_510 };
const submit = {
  msgId: 0n,
  pkTotal: 1,
  pkNumber: 1,
  registeredDelivery: 1,
  msgLevel: 1,
  serviceId: 'test',
  feeUserType: 2,
  feeTerminalId: '13500002696',
  feeTerminalType: 0,
  tpPid: 0,
  tpUdhi: 0,
  msgFmt: 8,
  msgSrc: '900001',
  feeType: '02',
  feeCode: '10',
  validTime: '151105131555101+',
  atTime: '',
  srcId: '900001',
  destTerminalIds: ['13500002696'],
  destTerminalType: 0,
  msgContent: Buffer.from('测试gocmpp submit', 'utf16le').swap16(),
  linkId: '',
};
const report = {
  msgId: MSG_ID,
  stat: 'DELIVRD',
  submitTime: '2611221330',
  doneTime: '2611221331',
  destTerminalId: '13500002696',
  smscSequence: 42,
};
const deliver = {
  ...emptyDeliver(MSG_ID + 1n),
  destId: '10690001',
  serviceId: 'test',
  srcTerminalId: '13500002696',
  registeredDelivery: 1,
  msgContent: bytes(REPORT_BYTES),
};

const sp = cmppCodec({ role: 'sp' });
const ismg = cmppCodec({ role: 'ismg' });

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** What goes over the wire, as hex. */
function framed(payload: Buffer | undefined): string {
  return Buffer.concat(framing.encode(payload ?? Buffer.alloc(0))).toString('hex');
}

function hex(text: string): string {
  return text.replaceAll(' ', '');
}

describe('the codec of CMPP 3.0', () => {
  it.each([
    ['an SP', 'CMPP_CONNECT', sp, 'request', 'connect', 0x17, connect, FRAMES.connect],
    ['an SP', 'CMPP_SUBMIT', sp, 'request', 'submit', 0x17, submit, FRAMES.submit],
    ['an SP', 'CMPP_TERMINATE', sp, 'request', 'terminate', 9, undefined, FRAMES.terminate],
    ['an SP', 'CMPP_DELIVER_RESP', sp, 'reply', 'deliver', 7, { msgId: MSG_ID + 1n, result: 0 }, FRAMES.deliverResp],
    ['an ISMG', 'CMPP_SUBMIT_RESP', ismg, 'reply', 'submit', 0x17, { msgId: MSG_ID }, FRAMES.submitResp],
    ['an ISMG', 'CMPP_DELIVER', ismg, 'push', 'deliver', 7, deliver, FRAMES.deliver],
    ['an ISMG', 'CMPP_TERMINATE_RESP', ismg, 'reply', 'terminate', 9, {}, FRAMES.terminateResp],
  ] as const)('of %s writes %s to the byte', (_who, _name, codec, kind, pattern, id, data, expected) => {
    expect(framed(codec.encode({ kind, pattern, id, data }))).toBe(hex(expected));
  });

  it('writes CMPP_CONNECT_RESP to the byte, with the authenticator of the ISMG', () => {
    const data = { status: 0, authenticatorIsmg: authenticatorIsmg(0, authenticator, '888888'), version: 0x30 };
    expect(framed(ismg.encode({ kind: 'reply', pattern: 'connect', id: 0x17, data }))).toBe(hex(FRAMES.connectResp));
  });

  it('writes the link test of both ends, and the goodbye of an ISMG', () => {
    for (const codec of [sp, ismg]) {
      expect(framed(codec.heartbeat?.ask(10))).toBe(hex(FRAMES.activeTest));
      expect(framed(codec.heartbeat?.answer?.({ id: 10 }))).toBe(hex(FRAMES.activeTestResp));
    }
    expect(framed(ismg.goaway?.({ message: 'closing' }, 9))).toBe(hex(FRAMES.terminate));
  });

  it.each([
    ['CMPP_CONNECT', ismg, FRAMES.connect, { id: 0x17, pattern: 'connect', data: connect }],
    ['CMPP_SUBMIT', ismg, FRAMES.submit, { id: 0x17, pattern: 'submit', data: submit }],
    ['CMPP_SUBMIT_RESP', sp, FRAMES.submitResp, { id: 0x17, data: { msgId: MSG_ID, result: 0 } }],
    ['CMPP_DELIVER', sp, FRAMES.deliver, { id: 7, push: 'deliver', pattern: 'deliver', data: deliver }],
    [
      'CMPP_DELIVER_RESP',
      ismg,
      FRAMES.deliverResp,
      { id: 7, pattern: 'deliver_resp', event: true, data: { msgId: MSG_ID + 1n, result: 0 } },
    ],
    ['CMPP_ACTIVE_TEST', sp, FRAMES.activeTest, { id: 10, heartbeat: 'ask' }],
    ['CMPP_ACTIVE_TEST', ismg, FRAMES.activeTest, { id: 10, heartbeat: 'ask' }],
    ['CMPP_ACTIVE_TEST_RESP', ismg, FRAMES.activeTestResp, { id: 10, heartbeat: 'answer' }],
    ['CMPP_TERMINATE', sp, FRAMES.terminate, { id: 9, pattern: 'terminate', goaway: 'CMPP_TERMINATE', answer: {} }],
    ['CMPP_TERMINATE_RESP', ismg, FRAMES.terminateResp, { id: 9, pattern: 'terminate_resp', event: true, data: {} }],
    [
      'a refused CMPP_CONNECT',
      sp,
      FRAMES.connectRefused,
      { id: 0x17, error: { cmppCode: 3, message: 'status 3, bad authenticator' } },
    ],
    [
      'a refused CMPP_SUBMIT',
      sp,
      FRAMES.submitRefused,
      { id: 0x17, error: { cmppCode: 8, message: 'result 8, flow control' } },
    ],
  ] as [string, MessageCodec, string, DecodedMessage][])('reads %s', (_name, codec, frame, expected) => {
    expect(codec.decode(bytes(frame))).toEqual(expected);
  });

  it.each([
    ['a code of its own', 'connect', { cmppCode: 3, message: 'no' }, FRAMES.connectRefused],
    ['the window', 'submit', { status: 'error', code: 'PTCP_SERVER_OVERLOADED', message: '' }, FRAMES.submitRefused],
  ])('refuses with %s', (_why, pattern, error, expected) => {
    expect(framed(ismg.encode({ kind: 'error', pattern, id: 0x17, error }))).toBe(hex(expected));
  });

  it('answers a CMPP_DELIVER that its application failed on with its Msg_Id and a Result', () => {
    const request = sp.decode(bytes(FRAMES.deliver));
    const payload = sp.encode({ kind: 'error', pattern: 'deliver', id: 7, error: new Error('full'), request });
    expect(ismg.decode(payload)).toMatchObject({ id: 7, data: { msgId: MSG_ID + 1n, result: RESULT.other } });
  });

  it('reports what was sent and received', () => {
    const seen: Traffic[] = [];
    const codec = cmppCodec({ role: 'sp', onTraffic: (traffic) => seen.push(traffic) });
    codec.decode(bytes(FRAMES.activeTest));
    codec.heartbeat?.answer?.({ id: 10 });
    expect(seen).toEqual([
      { direction: 'received', message: 'CMPP_ACTIVE_TEST', sequenceId: 10 },
      { direction: 'sent', message: 'CMPP_ACTIVE_TEST_RESP', sequenceId: 10 },
    ]);
  });

  it.each([
    ['an SP’s message that comes from the ISMG', sp, FRAMES.submit, 'CMPP_SUBMIT is nothing that an ISMG sends'],
    ['an answer to what an ISMG never asks', ismg, FRAMES.submitResp, 'CMPP_SUBMIT_RESP is nothing that an SP sends'],
    ['an unknown command', ismg, '0000000c 00000006 00000001', 'Command_Id 0x6 is not spoken here'],
    ['half a header', ismg, '00000008 00000008', 'a header has 12 bytes, not 8'],
    [
      'a message that is cut off',
      ismg,
      FRAMES.submit.slice(0, -2),
      'LinkID of CMPP_SUBMIT: needs 20 bytes, and 19 are left',
    ],
    [
      'a content that is longer than its frame',
      sp,
      FRAMES.deliver.replace(' 47 ', ' ff '),
      /^Msg_Content of CMPP_DEL.* 255 /,
    ],
    ['a message that goes on', sp, `${FRAMES.submitResp}0000`, 'CMPP_SUBMIT_RESP ends 2 bytes before its frame'],
    ['no destination', ismg, NO_DESTINATION, 'Dest_terminal_Id of CMPP_SUBMIT: there are 0, and there must be 1 to 99'],
  ])('does not take %s', (_what, codec, frame, message) => {
    expect(() => codec.decode(bytes(frame))).toThrow(message);
  });

  it.each([
    [
      'submit',
      { ...submit, serviceId: 'eleven char' },
      'Service_Id of CMPP_SUBMIT: has 11 characters, and room for 10',
    ],
    ['submit', { ...submit, msgSrc: '中国' }, 'Msg_src of CMPP_SUBMIT: is not ASCII text'],
    ['submit', { ...submit, msgLevel: 256 }, 'Msg_level of CMPP_SUBMIT: 256 is not a whole number from 0 to 255'],
    ['submit', { ...submit, msgId: 5 }, 'Msg_Id of CMPP_SUBMIT: 5 is not a bigint of 64 bits'],
    ['submit', { ...submit, destTerminalIds: [] }, 'Dest_terminal_Id of CMPP_SUBMIT: there are 0'],
    [
      'submit',
      { ...submit, msgContent: Buffer.alloc(256) },
      'Msg_Content of CMPP_SUBMIT: must be a Buffer of at most 255',
    ],
    ['submit', { ...submit, msgContents: '' }, 'CMPP_SUBMIT has no field msgContents'],
    ['connect', { ...connect, authenticatorSource: Buffer.alloc(15) }, 'AuthenticatorSource of CMPP_CONNECT: must be'],
    ['query', {}, "there is no CMPP command 'query'"],
  ])('does not write a %s that does not fit, and names the field: %#', (pattern, data, message) => {
    expect(() => sp.encode({ kind: 'request', pattern, id: 1, data })).toThrow(message);
  });

  it('has no messages that want no answer', () => {
    expect(() => sp.encode({ kind: 'event', pattern: 'submit', data: submit })).toThrow('CMPP_SUBMIT wants an answer');
  });
});

describe('what CMPP messages are made of', () => {
  it('an authenticator of secret and time, whose digits are ten', () => {
    expect(authenticatorSource('900001', '888888', 1_021_080_510)).toEqual(authenticator);
    expect(authenticatorSource('900001', '888888', 102_030_405).toString('hex')).toBe(
      '3b7bba56a8c1d885b7d43d3f6d82cb94',
    );
    expect(isSame(authenticator, Buffer.from(authenticator))).toBe(true);
    expect(isSame(authenticator, Buffer.alloc(16))).toBe(false);
    expect(isSame(authenticator, Buffer.alloc(15))).toBe(false);
    expect(timestampOf(new Date(2026, 0, 2, 3, 4, 5))).toBe(102_030_405);
  });

  it('a Msg_Id of time, gateway and a number that begins again', () => {
    const parts = { month: 11, day: 5, hour: 13, minute: 15, second: 55, gateway: 1001, sequence: 0x0102 };
    expect(messageId(parts)).toBe(MSG_ID);
    expect(parseMessageId(MSG_ID)).toEqual(parts);
    expect(() => messageId({ ...parts, gateway: 2 ** 22 })).toThrow('gateway of a Msg_Id has 22 bits');

    const ids = new MessageIds(1001);
    const time = new Date(2026, 10, 5, 13, 15, 55);
    const sequences = Array.from({ length: 65_537 }, () => parseMessageId(ids.next(time)).sequence);
    expect(sequences.slice(0, 2)).toEqual([1, 2]);
    expect(sequences.slice(65_534)).toEqual([65_535, 0, 1]);
  });

  it('a status report of 71 bytes, or of the 60 that gateways of version 2 send', () => {
    expect(REPORT.encode(report)).toEqual(bytes(REPORT_BYTES));
    expect(readReport(bytes(REPORT_BYTES))).toEqual(report);
    expect(readReport(bytes(SHORT_REPORT_BYTES))).toEqual(report);
    expect(() => readReport(Buffer.alloc(59))).toThrow('Dest_terminal_Id of status report: needs 32 bytes');
    expect(reportTime(new Date(2026, 0, 2, 3, 4))).toBe('2601020304');
  });
});
