import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { PooledTcpContext } from '../../../lib/index.js';
import { refusal } from '../wire/refusals.js';

/** Key of the session's data. */
export const STATION = Symbol('station');

/** Refuses whoever has not signed on, on this very connection. */
@Injectable()
export class SignedOnGuard implements CanActivate {
  canActivate(context: ExecutionContext): true {
    const { data } = context.switchToRpc().getContext<PooledTcpContext>().getSession();
    if (!data.has(STATION)) throw refusal('58');
    return true;
  }
}
