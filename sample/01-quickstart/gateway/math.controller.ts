import { BadRequestException, Controller, Get, Query, Sse, type MessageEvent } from '@nestjs/common';
import { map, type Observable } from 'rxjs';
import { InjectPool, PooledTcpClient } from '../../../lib/index.js';
import type { Countdown } from '../rpc-service/math.controller.js';

/** HTTP in front, RPC behind. */
@Controller()
export class MathController {
  constructor(@InjectPool('math') private readonly math: PooledTcpClient) {}

  /** `GET /sum?n=1&n=2` */
  @Get('sum')
  async sum(@Query('n') n: string | string[] = []): Promise<{ sum: number }> {
    const numbers = [n].flat().map(toNumber);
    return { sum: await this.math.request<number>('sum', numbers, { timeoutMs: 1_000 }) };
  }

  /** `GET /countdown?from=5`: one server-sent event for each item of the stream. */
  @Sse('countdown')
  countdown(@Query('from') from = '5', @Query('everyMs') everyMs = '300'): Observable<MessageEvent> {
    const countdown: Countdown = { from: toNumber(from), everyMs: toNumber(everyMs) };
    return this.math.send<number, Countdown>('countdown', countdown).pipe(map((left) => ({ data: { left } })));
  }
}

function toNumber(text: string): number {
  const number = Number(text);
  if (text === '' || !Number.isFinite(number)) throw new BadRequestException(`'${text}' is not a number`);
  return number;
}
