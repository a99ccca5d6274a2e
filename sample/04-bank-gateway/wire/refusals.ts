import { RpcException } from '@nestjs/microservices';

/** Response codes of the bank, and what they say where nobody says it better. `00` is no refusal. */
export const RESPONSE_CODES = {
  '12': 'no such transaction',
  '14': 'unknown account',
  '30': 'format error',
  '51': 'insufficient funds',
  '58': 'not signed on',
  '61': 'wrong currency',
  '91': 'host not available',
  '94': 'duplicate reference',
  '96': 'system malfunction',
} as const;

export const APPROVED = '00';
export type RefusalCode = keyof typeof RESPONSE_CODES;

/** An answer that says no: what a handler throws, and what the caller finds as `cause`. */
export interface Refusal {
  readonly responseCode: RefusalCode;
  readonly message: string;
}

/** For a handler to throw. Nest takes it as it is, and so does the codec. */
export function refusal(responseCode: RefusalCode, message: string = RESPONSE_CODES[responseCode]): RpcException {
  return new RpcException({ responseCode, message } satisfies Refusal);
}

export function isRefusal(value: unknown): value is Refusal {
  return (
    typeof value === 'object' &&
    value !== null &&
    'responseCode' in value &&
    typeof value.responseCode === 'string' &&
    Object.hasOwn(RESPONSE_CODES, value.responseCode)
  );
}

/** What the peer is told of any error. What nobody meant for it, such as the text of a defect, stays here. */
export function refusalOf(error: unknown): Refusal {
  if (isRefusal(error)) return error;
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (code === 'PTCP_NO_HANDLER') return { responseCode: '12', message: RESPONSE_CODES['12'] };
  if (code === 'PTCP_SERVER_OVERLOADED') return { responseCode: '91', message: RESPONSE_CODES['91'] };
  return { responseCode: '96', message: RESPONSE_CODES['96'] };
}
