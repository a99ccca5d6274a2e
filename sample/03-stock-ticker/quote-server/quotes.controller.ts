import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { PooledTcpContext } from '../../../lib/index.js';
import { quoteOf, SYMBOLS } from '../market.js';
import { TapeService } from './tape.service.js';

export interface QuoteRequest {
  readonly symbol: string;
  /** Number of the last price that the client has. */
  readonly after?: number | undefined;
}

/** What is sent again to a client that was away for long. */
const MOST_QUOTES_AGAIN = 5_000;

@Controller()
export class QuotesController {
  constructor(private readonly tape: TapeService) {}

  /**
   * From now on the session gets the prices of the symbol; first those that the client has missed. Nothing comes
   * between the two: both happen in one turn.
   */
  @MessagePattern('quotes.subscribe')
  subscribe(@Payload() { symbol, after }: QuoteRequest, @Ctx() context: PooledTcpContext): { server: string } {
    if (!SYMBOLS.includes(symbol as (typeof SYMBOLS)[number])) throw new RpcException(`no symbol is called ${symbol}`);
    const session = context.getSession();
    const { current, name } = this.tape;
    const first = Math.max((after ?? current) + 1, current - MOST_QUOTES_AGAIN);
    for (let seq = first; seq <= current; seq++) session.push(`quote:${symbol}`, quoteOf(symbol, seq));
    session.tag(symbol);
    return { server: name };
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-arguments -- without it Nest 12 takes the context for unknown
  @EventPattern<string>('quotes.unsubscribe')
  unsubscribe(@Payload() symbol: string, @Ctx() context: PooledTcpContext): void {
    context.getSession().untag(symbol);
  }
}
