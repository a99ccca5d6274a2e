import { Injectable } from '@nestjs/common';
import { InjectPool, PooledTcpClient } from '../../../lib/index.js';
import type { Reply, Request } from '../wire/messages.js';

/** The bank's messages as calls. */
@Injectable()
export class Bank {
  constructor(@InjectPool('bank') private readonly pool: PooledTcpClient) {}

  /** Reading twice is as good as reading once. */
  balance(account: string): Promise<Reply<'balance'>> {
    return this.#ask('balance', { account });
  }

  /**
   * Marked idempotent, so that it is sent again when the connection is lost before the reply. That is right only because
   * the host books once for each reference, and the reference is the caller's: the same at each attempt.
   */
  transfer(transfer: Request<'transfer'>): Promise<Reply<'transfer'>> {
    return this.#ask('transfer', transfer);
  }

  #ask<Name extends 'balance' | 'transfer'>(name: Name, request: Request<Name>): Promise<Reply<Name>> {
    return this.pool.request<Reply<Name>>(name, request, { idempotent: true });
  }
}
