import type { PooledTcpErrorCode } from '../../errors/codes.js';
import { PooledTcpError } from '../../errors/pooled-tcp-error.js';
import type { BoundedLog } from '../bounded-log.js';
import type { Session } from '../session.js';
import { OutgoingPush } from './outgoing-push.js';
import type { PushOptions } from './push-settings.js';

/** What is wrong with one client, and not with the push. */
const OF_ONE_CLIENT: readonly PooledTcpErrorCode[] = [
  'PTCP_UNSUPPORTED',
  'PTCP_CONNECTION_LOST',
  'PTCP_FRAME_TOO_LARGE',
  'PTCP_WRITE_OVERFLOW',
];

/**
 * Pushes the same to many clients. One that cannot take it is left out, and the log says why; stock clients, which
 * nothing can be pushed to, and those that are just going are left out without a word.
 *
 * @returns to how many it went, or waits for
 * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`, `PTCP_OPTION_INVALID`, `PTCP_OPTION_CONFLICT`
 */
export function pushToMany(
  sessions: Iterable<Session>,
  route: string,
  data: unknown,
  options: PushOptions,
  log: BoundedLog,
): number {
  const push = new OutgoingPush(route, data, true);
  let count = 0;
  for (const session of sessions) {
    try {
      session.deliver(push, options);
      // Not where this was the push too many.
      if (session.isOpen) count += 1;
    } catch (error) {
      if (!(error instanceof PooledTcpError) || !OF_ONE_CLIENT.includes(error.code)) throw error;
      if (error.code === 'PTCP_FRAME_TOO_LARGE' || error.code === 'PTCP_WRITE_OVERFLOW')
        log.warn(
          `push ${error.code}`,
          `a push of '${route}' was not sent to ${session.peer}: ${error.message} (${error.code})`,
        );
    }
  }
  return count;
}
