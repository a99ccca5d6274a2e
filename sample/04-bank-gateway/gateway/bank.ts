import { BadGatewayException, Injectable } from '@nestjs/common';
import { InjectPool, PooledTcpClient } from '../../../lib/index.js';
import { encodeField, type Field } from '../wire/fields.js';
import { MESSAGES, type MessageName, type Reply, type Request } from '../wire/messages.js';

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

  async #ask<Name extends 'balance' | 'transfer'>(name: Name, request: Request<Name>): Promise<Reply<Name>> {
    const reply = await this.pool.request<Reply<Name>>(name, request, { idempotent: true });
    assertAnswers(name, request, reply);
    return reply;
  }
}

/** Replies have no id: what they repeat of the request is all that shows that they belong to it. */
function assertAnswers<Name extends MessageName>(name: Name, request: Request<Name>, reply: Reply<Name>): void {
  const asked: Readonly<Record<string, unknown>> = request;
  const answered: Readonly<Record<string, unknown>> = reply;
  const fields: readonly Field[] = MESSAGES[name].request;
  for (const field of fields) {
    if (!(field.name in reply)) continue;
    if (encodeField(field, asked[field.name]) !== encodeField(field, answered[field.name]))
      throw new BadGatewayException(`the bank answered another ${name}: ${field.name} differs`);
  }
}
