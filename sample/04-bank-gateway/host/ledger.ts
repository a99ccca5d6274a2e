import { Injectable, Logger } from '@nestjs/common';
import type { Reply, Request } from '../wire/messages.js';
import { refusal } from '../wire/refusals.js';

export interface Account {
  readonly currency: string;
  /** In minor units. */
  balance: bigint;
  /** Its records are in the archive, which takes its time. */
  readonly isDormant?: boolean;
}

interface Booking {
  readonly request: Request<'transfer'>;
  readonly reply: Reply<'transfer'>;
}

/** Accounts and bookings. In memory: a bank has a database, and books and keeps the reference in one transaction of it. */
@Injectable()
export class Ledger {
  readonly #logger = new Logger('Ledger');
  readonly #accounts = new Map<string, Account>([
    ['0000000001', { currency: 'EUR', balance: 1_000_00n }],
    ['0000000002', { currency: 'EUR', balance: 250_00n }],
    ['0000000003', { currency: 'JPY', balance: 90_000n }],
    ['0000000009', { currency: 'EUR', balance: 1_00n, isDormant: true }],
  ]);
  readonly #bookings = new Map<string, Booking>();

  /** How many transfers have been booked. */
  get booked(): number {
    return this.#bookings.size;
  }

  /** @throws RpcException `14` */
  account(number: string): Account {
    const account = this.#accounts.get(number);
    if (account === undefined) throw refusal('14', `unknown account ${number}`);
    return account;
  }

  /**
   * Moves the money, once for each reference: who asks again, because no answer came, gets the answer of the first time.
   * Nothing here waits, so that two requests with one reference cannot pass each other.
   *
   * @throws RpcException `14`, `51`, `61`, or `94` where the reference stands for another transfer
   */
  transfer(request: Request<'transfer'>): Reply<'transfer'> {
    const known = this.#bookings.get(request.reference);
    if (known !== undefined) {
      if (!isSame(known.request, request)) throw refusal('94');
      this.#logger.log(`transfer ${request.reference} is known: booking ${known.reply.booking} is answered again`);
      return known.reply;
    }
    const from = this.account(request.from);
    const to = this.account(request.to);
    const { currency } = request;
    if (from.currency !== currency || to.currency !== currency) throw refusal('61');
    if (from.balance < request.amount) throw refusal('51');
    from.balance -= request.amount;
    to.balance += request.amount;
    const booking = String(this.#bookings.size + 1).padStart(10, '0');
    const reply = { reference: request.reference, booking, balance: from.balance };
    this.#bookings.set(request.reference, { request, reply });
    this.#logger.log(`transfer ${request.reference}: booked as ${booking}`);
    return reply;
  }
}

function isSame(a: Request<'transfer'>, b: Request<'transfer'>): boolean {
  return (Object.keys(a) as (keyof Request<'transfer'>)[]).every((field) => a[field] === b[field]);
}
