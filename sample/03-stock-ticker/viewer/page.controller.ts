import { Controller, Get, Header, Sse, type MessageEvent } from '@nestjs/common';
import { bufferTime, filter, interval, map, merge, takeUntil, last, type Observable } from 'rxjs';
import type { Quote } from '../market.js';
import { PAGE } from './page.js';
import { WatchersService } from './watchers.service.js';

/** No eye follows more. */
const FRAME_MS = 100;
const STATE_EVERY_MS = 500;

@Controller()
export class PageController {
  constructor(private readonly watchers: WatchersService) {}

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  page(): string {
    return PAGE;
  }

  /** The last price of each symbol, ten times a second, and now and then how all clients fare. */
  @Sse('events')
  events(): Observable<MessageEvent> {
    const { quotes } = this.watchers;
    const prices = quotes.pipe(
      bufferTime(FRAME_MS),
      filter((some) => some.length > 0),
      map((some) => ({ type: 'quotes', data: lastOfEach(some) })),
    );
    const states = interval(STATE_EVERY_MS).pipe(
      takeUntil(quotes.pipe(last(undefined, undefined))),
      map(() => ({
        type: 'state',
        data: { verdict: this.watchers.verdict(), servers: [...this.watchers.statuses.values()] },
      })),
    );
    return merge(prices, states);
  }
}

function lastOfEach(quotes: readonly Quote[]): Quote[] {
  return [...new Map(quotes.map((quote) => [quote.symbol, quote])).values()];
}
