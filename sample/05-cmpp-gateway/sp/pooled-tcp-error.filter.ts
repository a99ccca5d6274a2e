import { Catch, HttpStatus, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { PooledTcpError } from '../../../lib/index.js';
import { isCmppError } from '../cmpp/results.js';

/** What the ISMG refuses is 422 with its Result; that it cannot be reached, 503. */
@Catch(PooledTcpError)
export class PooledTcpErrorFilter implements ExceptionFilter<PooledTcpError> {
  catch({ code, message, cause }: PooledTcpError, host: ArgumentsHost): void {
    const result = isCmppError(cause) ? cause.cmppCode : undefined;
    const statusCode = result === undefined ? HttpStatus.SERVICE_UNAVAILABLE : HttpStatus.UNPROCESSABLE_ENTITY;
    host
      .switchToHttp()
      .getResponse<ServerResponse>()
      .writeHead(statusCode, { 'content-type': 'application/json' })
      .end(JSON.stringify({ statusCode, code, result, message }));
  }
}
