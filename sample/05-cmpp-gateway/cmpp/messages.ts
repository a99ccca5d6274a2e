import { counted, list, octets, text, uint, uint64 } from './fields.js';
import { Layout, type ValuesOf } from './layout.js';

/*
 * The messages between SP and ISMG: China Mobile, “Internet Short Message Gateway Interface Protocol (CMPP)”, version
 * 3.0.0, section 8.4. Against version 2.0, numbers of terminals have 32 bytes instead of 21, and a type; results have
 * four bytes instead of one; and LinkID stands where Reserve was.
 */

/** 3.0: the upper four bits are the major number, the lower four the minor one. */
export const VERSION = 0x30;

/** Section 8.4.1.1. */
export const CONNECT = new Layout('CMPP_CONNECT', {
  sourceAddr: text('Source_Addr', 6),
  authenticatorSource: octets('AuthenticatorSource', 16),
  version: uint('Version', 1),
  /** MMDDHHMMSS as a number. */
  timestamp: uint('Timestamp', 4),
});

/** Section 8.4.1.2. */
export const CONNECT_RESP = new Layout('CMPP_CONNECT_RESP', {
  status: uint('Status', 4),
  authenticatorIsmg: octets('AuthenticatorISMG', 16),
  version: uint('Version', 1),
});

/** Section 8.4.3.1. */
export const SUBMIT = new Layout('CMPP_SUBMIT', {
  /** Zero: the ISMG gives the message its number. */
  msgId: uint64('Msg_Id'),
  /** Parts of a long message, and which this is, from 1. */
  pkTotal: uint('Pk_total', 1),
  pkNumber: uint('Pk_number', 1),
  /** 1 to be told what became of it. */
  registeredDelivery: uint('Registered_Delivery', 1),
  msgLevel: uint('Msg_level', 1),
  serviceId: text('Service_Id', 10),
  feeUserType: uint('Fee_UserType', 1),
  feeTerminalId: text('Fee_terminal_Id', 32),
  feeTerminalType: uint('Fee_terminal_type', 1),
  tpPid: uint('TP_pId', 1),
  /** 1 where the content begins with a user data header. */
  tpUdhi: uint('TP_udhi', 1),
  /** 0 ASCII, 4 binary, 8 UCS-2, 15 GB18030. */
  msgFmt: uint('Msg_Fmt', 1),
  /** Who submits: the SP's enterprise code. */
  msgSrc: text('Msg_src', 6),
  feeType: text('FeeType', 2),
  feeCode: text('FeeCode', 6),
  validTime: text('ValId_Time', 17),
  atTime: text('At_Time', 17),
  /** What the handset shows as the sender. */
  srcId: text('Src_Id', 21),
  /** DestUsr_tl and Dest_terminal_Id: fewer than 100. */
  destTerminalIds: list(text('Dest_terminal_Id', 32), { min: 1, max: 99 }),
  destTerminalType: uint('Dest_terminal_type', 1),
  /** Msg_Length and Msg_Content. */
  msgContent: counted('Msg_Content'),
  linkId: text('LinkID', 20),
});

/** Section 8.4.3.2. */
export const SUBMIT_RESP = new Layout('CMPP_SUBMIT_RESP', { msgId: uint64('Msg_Id'), result: uint('Result', 4) });

/** Section 8.4.5.1. */
export const DELIVER = new Layout('CMPP_DELIVER', {
  msgId: uint64('Msg_Id'),
  /** The SP's number, to which the handset wrote. */
  destId: text('Dest_Id', 21),
  serviceId: text('Service_Id', 10),
  tpPid: uint('TP_pid', 1),
  tpUdhi: uint('TP_udhi', 1),
  msgFmt: uint('Msg_Fmt', 1),
  /** Who wrote; in a status report, to whom the message went. */
  srcTerminalId: text('Src_terminal_Id', 32),
  srcTerminalType: uint('Src_terminal_type', 1),
  /** 1: the content is a status report. */
  registeredDelivery: uint('Registered_Delivery', 1),
  /** Msg_Length and Msg_Content. */
  msgContent: counted('Msg_Content'),
  linkId: text('LinkID', 20),
});

/** Section 8.4.5.2. */
export const DELIVER_RESP = new Layout('CMPP_DELIVER_RESP', { msgId: uint64('Msg_Id'), result: uint('Result', 4) });

/** Sections 8.4.2 and 8.4.7.1: no body. */
export const TERMINATE = new Layout('CMPP_TERMINATE', {});
export const TERMINATE_RESP = new Layout('CMPP_TERMINATE_RESP', {});
export const ACTIVE_TEST = new Layout('CMPP_ACTIVE_TEST', {});

/** Section 8.4.7.2. */
export const ACTIVE_TEST_RESP = new Layout('CMPP_ACTIVE_TEST_RESP', { reserved: uint('Reserved', 1) });

export type Connect = ValuesOf<typeof CONNECT>;
export type ConnectResp = ValuesOf<typeof CONNECT_RESP>;
export type Submit = ValuesOf<typeof SUBMIT>;
export type SubmitResp = ValuesOf<typeof SUBMIT_RESP>;
export type Deliver = ValuesOf<typeof DELIVER>;
export type DeliverResp = ValuesOf<typeof DELIVER_RESP>;

/** A CMPP_DELIVER in which nothing is set but its Msg_Id. */
export function emptyDeliver(msgId: bigint): Deliver {
  return {
    msgId,
    destId: '',
    serviceId: '',
    tpPid: 0,
    tpUdhi: 0,
    msgFmt: 0,
    srcTerminalId: '',
    srcTerminalType: 0,
    registeredDelivery: 0,
    msgContent: Buffer.alloc(0),
    linkId: '',
  };
}
