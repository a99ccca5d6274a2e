import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { map, take, timer, type Observable } from 'rxjs';
import { setTimeout as delay } from 'node:timers/promises';
import { PooledTcpContext } from '../../../lib/index.js';

export interface Countdown {
  readonly from: number;
  readonly everyMs: number;
}

export interface Visit {
  readonly by: string;
}

/** An ordinary Nest controller: nothing in it but `getSession()` knows which transport it serves. */
@Controller()
export class MathController {
  /** Answers with a value. */
  @MessagePattern('sum')
  sum(@Payload() numbers: readonly number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }

  /** Answers with a promise. */
  @MessagePattern('square')
  async square(@Payload() n: number): Promise<number> {
    await delay(20);
    return n * n;
  }

  /** Answers with a stream. A caller who unsubscribes stops it here too. */
  @MessagePattern('countdown')
  countdown(@Payload() { from, everyMs }: Countdown): Observable<number> {
    return timer(0, everyMs).pipe(
      take(from + 1),
      map((i) => from - i),
    );
  }

  /** An event has no answer; what the server wants to say of its own accord it pushes. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-arguments -- without it Nest 12 takes the context for unknown
  @EventPattern<string>('visited')
  visited(@Payload() { by }: Visit, @Ctx() context: PooledTcpContext): void {
    context.getSession().push('greeting', `hello ${by}`);
  }

  /** Refuses; the caller gets what the exception says. */
  @MessagePattern('divide')
  divide(@Payload() [a = 0, b = 0]: readonly number[]): number {
    if (b === 0) throw new RpcException('cannot divide by zero');
    return a / b;
  }
}
