import {
  Catch,
  Controller,
  Injectable,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { asapScheduler, concat, from, map, observeOn, of, range, throwError, type Observable } from 'rxjs';

@Injectable()
class LettersOnly implements PipeTransform {
  transform(value: string): string {
    if (!/^[a-z]+$/.test(value)) throw new RpcException('letters only');
    return value.toUpperCase();
  }
}

class OwnerOnly implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToRpc().getData<{ owner?: boolean }>().owner === true;
  }
}

class Doubled implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler<number>): Observable<number> {
    return next.handle().pipe(map((value) => value * 2));
  }
}

@Catch(RangeError)
class RangeFilter implements ExceptionFilter {
  catch(error: RangeError): Observable<never> {
    return throwError(() => ({ kind: 'filtered', text: error.message }));
  }
}

/** A handler for each way to answer. */
@Controller()
export class RepliesController {
  @MessagePattern('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }

  @MessagePattern('echo')
  echo(@Payload() value: unknown): unknown {
    return value;
  }

  @MessagePattern('later')
  async later(@Payload() value: unknown): Promise<unknown> {
    return await new Promise((resolve) => setImmediate(resolve, { later: value }));
  }

  @MessagePattern('count')
  count(@Payload() to: number): Observable<number> {
    return from(Array.from({ length: to }, (_, i) => i));
  }

  @MessagePattern('count-slowly')
  countSlowly(@Payload() to: number): Observable<number> {
    return range(0, to).pipe(observeOn(asapScheduler));
  }

  @MessagePattern('each')
  each(@Payload() values: unknown[]): Observable<unknown> {
    return from(values);
  }

  @MessagePattern('promised-stream')
  promisedStream(@Payload() values: unknown[]): Promise<Observable<unknown>> {
    return Promise.resolve(from(values));
  }

  @MessagePattern('nothing')
  nothing(): void {
    // Answers without a value.
  }

  @MessagePattern('nothing-later')
  async nothingLater(): Promise<void> {
    await Promise.resolve();
  }

  @MessagePattern('no-items')
  noItems(): Observable<never> {
    return from([]);
  }

  @MessagePattern('empty')
  empty(): null {
    return null;
  }

  @MessagePattern({ cmd: 'object', nested: { b: 1, a: 'x' } })
  object(): string {
    return 'object pattern';
  }

  @MessagePattern(42)
  number(): string {
    return 'number pattern';
  }

  @MessagePattern('grüße/你好 👋')
  unicodePattern(): string {
    return 'unicode pattern';
  }

  @MessagePattern('rpc-text')
  rpcText(): never {
    throw new RpcException('out of stock');
  }

  @MessagePattern('rpc-object')
  rpcObject(): never {
    throw new RpcException({ code: 'OUT_OF_STOCK', left: 0 });
  }

  @MessagePattern('rpc-later')
  async rpcLater(): Promise<never> {
    await Promise.resolve();
    throw new RpcException('later, out of stock');
  }

  @MessagePattern('plain-error')
  plainError(): never {
    throw new Error('secret detail');
  }

  @MessagePattern('error-after-items')
  errorAfterItems(): Observable<number> {
    return concat(
      of(1, 2),
      throwError(() => new RpcException('third')),
    );
  }

  @UseGuards(OwnerOnly)
  @MessagePattern('guarded')
  guarded(): string {
    return 'welcome';
  }

  @MessagePattern('piped')
  piped(@Payload(LettersOnly) value: string): string {
    return value;
  }

  @UseInterceptors(Doubled)
  @MessagePattern('intercepted')
  intercepted(@Payload() value: number): Observable<number> {
    return of(value, value + 1);
  }

  @UseFilters(RangeFilter)
  @MessagePattern('filtered')
  filtered(): never {
    throw new RangeError('too far');
  }

  @MessagePattern('bigint')
  bigint(): bigint {
    return 2n ** 64n;
  }

  @MessagePattern('bigint-item')
  bigintItem(): Observable<number | bigint> {
    return from([1, 2n ** 64n, 3]);
  }
}
