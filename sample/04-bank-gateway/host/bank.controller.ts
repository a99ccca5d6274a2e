import { Controller, Inject, UseGuards } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { setTimeout as delay } from 'node:timers/promises';
import type { Reply, Request } from '../wire/messages.js';
import { ARCHIVE_MS } from './host-options.js';
import { Ledger } from './ledger.js';
import { SignedOnGuard } from './signed-on.guard.js';

/** What the bank does: ordinary handlers, which know nothing of frames and fields. */
@Controller()
@UseGuards(SignedOnGuard)
export class BankController {
  constructor(
    private readonly ledger: Ledger,
    @Inject(ARCHIVE_MS) private readonly archiveMs: number,
  ) {}

  @MessagePattern('balance')
  async balance(@Payload() { account }: Request<'balance'>): Promise<Reply<'balance'>> {
    const { currency, balance, isDormant = false } = this.ledger.account(account);
    if (isDormant) await delay(this.archiveMs);
    return { account, currency, balance };
  }

  @MessagePattern('transfer')
  transfer(@Payload() transfer: Request<'transfer'>): Reply<'transfer'> {
    return this.ledger.transfer(transfer);
  }
}
