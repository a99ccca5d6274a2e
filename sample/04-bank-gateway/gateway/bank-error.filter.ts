import { Catch, HttpStatus, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { PooledTcpError } from '../../../lib/index.js';
import { FieldError } from '../wire/fields.js';
import { isRefusal, type RefusalCode } from '../wire/refusals.js';

/** What a refusal of the bank is in HTTP. Those that are the gateway's fault, or the bank's, are not the caller's. */
const REFUSED: Readonly<Record<RefusalCode, HttpStatus>> = {
  '12': HttpStatus.BAD_GATEWAY,
  '14': HttpStatus.NOT_FOUND,
  '30': HttpStatus.BAD_GATEWAY,
  '51': HttpStatus.UNPROCESSABLE_ENTITY,
  '58': HttpStatus.BAD_GATEWAY,
  '61': HttpStatus.UNPROCESSABLE_ENTITY,
  '91': HttpStatus.SERVICE_UNAVAILABLE,
  '94': HttpStatus.CONFLICT,
  '96': HttpStatus.BAD_GATEWAY,
};

export interface ErrorBody {
  readonly statusCode: HttpStatus;
  /** The bank's response code, or the library's code. */
  readonly code: string;
  readonly message: string;
  /**
   * `none`: nothing has happened at the bank. `unknown`: it may have; to ask again with the same reference is safe, and the
   * way to find out.
   */
  readonly effect: 'none' | 'unknown';
}

/** What goes wrong on the way to the bank, and what the bank refuses, as an HTTP answer. */
@Catch(PooledTcpError)
export class BankErrorFilter implements ExceptionFilter<PooledTcpError> {
  catch(error: PooledTcpError, host: ArgumentsHost): void {
    const body = errorBody(error);
    host
      .switchToHttp()
      .getResponse<ServerResponse>()
      .writeHead(body.statusCode, { 'content-type': 'application/json' })
      .end(JSON.stringify(body));
  }
}

export function errorBody({ code, message, sent, cause }: PooledTcpError): ErrorBody {
  if (isRefusal(cause)) {
    const { responseCode } = cause;
    const effect = responseCode === '96' ? 'unknown' : 'none';
    return { statusCode: REFUSED[responseCode], code: responseCode, message: cause.message, effect };
  }
  // What the caller gave does not fit its field: nothing was sent.
  if (code === 'PTCP_PAYLOAD_UNSERIALIZABLE' && cause instanceof FieldError)
    return { statusCode: HttpStatus.BAD_REQUEST, code, message: cause.message, effect: 'none' };
  const effect = sent ? 'unknown' : 'none';
  if (code === 'PTCP_REQUEST_TIMEOUT') return { statusCode: HttpStatus.GATEWAY_TIMEOUT, code, message, effect };
  return { statusCode: sent ? HttpStatus.BAD_GATEWAY : HttpStatus.SERVICE_UNAVAILABLE, code, message, effect };
}
