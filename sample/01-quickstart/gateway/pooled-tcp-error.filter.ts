import { Catch, HttpStatus, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { PooledTcpError } from '../../../lib/index.js';

/** What goes wrong between the services is not the fault of who called the gateway: 502 or 503, with the code. */
@Catch(PooledTcpError)
export class PooledTcpErrorFilter implements ExceptionFilter<PooledTcpError> {
  catch({ code, message }: PooledTcpError, host: ArgumentsHost): void {
    const status = code === 'PTCP_HANDLER_FAILED' ? HttpStatus.BAD_GATEWAY : HttpStatus.SERVICE_UNAVAILABLE;
    host
      .switchToHttp()
      .getResponse<ServerResponse>()
      .writeHead(status, { 'content-type': 'application/json' })
      .end(JSON.stringify({ statusCode: status, code, message }));
  }
}
