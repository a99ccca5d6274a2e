import { BadRequestException, Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { InjectPool, PooledTcpClient, type ClientStats } from '../../../lib/index.js';
import { Inbox, type Arrival } from './inbox.js';
import { SmsService } from './sms.service.js';

/** What an application sees of CMPP: a text and some numbers. */
@Controller()
export class SmsController {
  constructor(
    private readonly sms: SmsService,
    private readonly inbox: Inbox,
    @InjectPool('ismg') private readonly ismg: PooledTcpClient,
  ) {}

  /** Takes `{ to: ['13800000001'], text: '…' }`, and answers with the Msg_Id of each part. */
  @Post('sms')
  @HttpCode(202)
  async send(@Body() body: unknown): Promise<{ readonly msgIds: readonly string[] }> {
    const { to, text } = body as { readonly to?: unknown; readonly text?: unknown };
    if (!isNumbers(to)) throw new BadRequestException('to must be a list of 1 to 99 numbers of a telephone');
    if (typeof text !== 'string' || text === '') throw new BadRequestException('text must be a text');
    return { msgIds: await this.sms.send(to, text) };
  }

  /** Status reports, and what handsets wrote. */
  @Get('inbox')
  received(): readonly Arrival[] {
    return this.inbox.all;
  }

  @Get('pool')
  pool(): ClientStats {
    return this.ismg.stats();
  }
}

function isNumbers(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= 99 &&
    value.every((number) => typeof number === 'string' && /^\d{5,21}$/.test(number))
  );
}
