import { RpcException } from '@nestjs/microservices';

/** Status of CMPP_CONNECT_RESP (section 8.4.1.2). */
export const STATUS = {
  ok: 0,
  badStructure: 1,
  badSourceAddr: 2,
  badAuthenticator: 3,
  versionTooHigh: 4,
  other: 5,
} as const;

/** Result of CMPP_SUBMIT_RESP and CMPP_DELIVER_RESP (sections 8.4.3.2 and 8.4.5.2). */
export const RESULT = {
  ok: 0,
  badStructure: 1,
  badCommand: 2,
  sequenceTwice: 3,
  badLength: 4,
  badFeeCode: 5,
  tooLong: 6,
  badService: 7,
  flowControl: 8,
  feeTerminalNotServed: 9,
  badSrcId: 10,
  badMsgSrc: 11,
  badFeeTerminal: 12,
  badDestTerminal: 13,
  /** The specification leaves numbers above its own to the gateways. */
  other: 99,
} as const;

/** What is wrong, in words: of a Status, or of a Result. */
export function describeCode(of: 'status' | 'result', code: number): string {
  const name = Object.entries(of === 'status' ? STATUS : RESULT).find(([, value]) => value === code)?.[0];
  return name?.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`) ?? 'unknown';
}

/** What a handler throws to answer with a Status or Result other than 0. */
export class CmppRefusal extends RpcException {
  /** @param code Status at a CONNECT, Result elsewhere */
  constructor(code: number, message: string) {
    super({ cmppCode: code, message });
  }
}

/** What the caller of a CONNECT or SUBMIT gets as the `cause` of `PTCP_HANDLER_FAILED`. */
export interface CmppError {
  readonly cmppCode: number;
  readonly message: string;
}

export function isCmppError(value: unknown): value is CmppError {
  return typeof value === 'object' && value !== null && 'cmppCode' in value && typeof value.cmppCode === 'number';
}

/** The code that tells the peer of an error: its own, or what the library refused for. */
export function codeOf(error: unknown, other: number): number {
  if (isCmppError(error)) return error.cmppCode;
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return code === 'PTCP_SERVER_OVERLOADED' ? RESULT.flowControl : other;
}
