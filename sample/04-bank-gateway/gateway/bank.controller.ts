import { BadRequestException, Body, Controller, Get, Param, Post } from '@nestjs/common';
import { Bank } from './bank.js';
import { fromMinor, toMinor } from './money.js';

export interface AccountView {
  readonly account: string;
  readonly currency: string;
  readonly balance: string;
}

export interface TransferView {
  readonly reference: string;
  readonly booking: string;
  /** Of the account that the money came from. */
  readonly balance: string;
}

/** HTTP in front, fixed fields behind. */
@Controller()
export class BankController {
  constructor(private readonly bank: Bank) {}

  /** `GET /accounts/1` */
  @Get('accounts/:account')
  async account(@Param('account') account: string): Promise<AccountView> {
    const reply = await this.bank.balance(account);
    return { ...reply, balance: fromMinor(reply.balance, reply.currency) };
  }

  /** `POST /transfers`; with the same `reference` it may be repeated until there is an answer. */
  @Post('transfers')
  async transfer(@Body() body: unknown): Promise<TransferView> {
    const { reference, from, to, currency, amount, purpose } = texts(body);
    if (reference === '')
      throw new BadRequestException('reference must not be empty: it is what keeps a retry from booking twice');
    const minor = toMinor(amount, currency);
    const reply = await this.bank.transfer({ reference, from, to, currency, amount: minor, purpose });
    return { ...reply, balance: fromMinor(reply.balance, currency) };
  }
}

const FIELDS = ['reference', 'from', 'to', 'currency', 'amount', 'purpose'] as const;

/** That they are strings; what else they must be, the layout of the message says. */
function texts(body: unknown): Readonly<Record<(typeof FIELDS)[number], string>> {
  const given = (typeof body === 'object' && body !== null ? body : {}) as Readonly<Record<string, unknown>>;
  const wrong = FIELDS.filter((field) => typeof given[field] !== 'string');
  if (wrong.length > 0) throw new BadRequestException(`${wrong.join(', ')} must be a string`);
  return given as Record<(typeof FIELDS)[number], string>;
}
