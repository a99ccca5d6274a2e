import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { PooledTcpContext, PooledTcpError } from '../../lib/index.js';
import type { CallLedger } from './call-ledger.js';

/** What a {@link holdController} saw. */
export interface HoldLog {
  /** Tags of calls that are held. */
  readonly held: Set<string>;
  /** Why calls were given up, in order. */
  readonly reasons: string[];
}

/** A controller that answers `echo` at once and `hold` never, and that writes down both. */
export function holdController(ledger: CallLedger): { readonly controller: new () => object; readonly log: HoldLog } {
  const log: HoldLog = { held: new Set(), reasons: [] };

  @Controller()
  class HoldController {
    @MessagePattern('echo')
    echo(@Payload() data: { tag: string }): { tag: string } {
      ledger.handled(data.tag);
      return { tag: data.tag };
    }

    @MessagePattern('hold')
    hold(@Payload() data: { tag: string }, @Ctx() context: PooledTcpContext): Promise<unknown> {
      ledger.handled(data.tag);
      log.held.add(data.tag);
      const signal = context.getSignal();
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          log.held.delete(data.tag);
          log.reasons.push(signal.reason instanceof PooledTcpError ? signal.reason.code : String(signal.reason));
          resolve(undefined);
        });
      });
    }
  }
  return { controller: HoldController, log };
}
