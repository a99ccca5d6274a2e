import type { CallOutcome } from '../cluster/cluster.js';
import type { PooledTcpErrorCode } from '../errors/codes.js';
import type { PooledTcpError } from '../errors/pooled-tcp-error.js';

/**
 * What a failure says about the endpoint. What is not here says nothing: the caller gave up, the payload could not be
 * written, the pool was closed.
 *
 * Errors of a handler count as answers: they say that the endpoint works, and the same request fails elsewhere too.
 * So does the lack of a handler. A time that ran out speaks against the endpoint even where the caller's patience was
 * short: all endpoints are measured by it alike, and one success in between forgives.
 */
const OUTCOMES: Partial<Readonly<Record<PooledTcpErrorCode, CallOutcome>>> = {
  PTCP_HANDLER_FAILED: 'answered',
  PTCP_NO_HANDLER: 'answered',
  PTCP_SERVER_OVERLOADED: 'refused',
  PTCP_REQUEST_TIMEOUT: 'late',
  PTCP_DEADLINE_EXCEEDED: 'late',
  PTCP_CONNECTION_LOST: 'lost',
  PTCP_HEARTBEAT_TIMEOUT: 'lost',
  PTCP_WRITE_OVERFLOW: 'lost',
  PTCP_FRAME_MALFORMED: 'lost',
  PTCP_PROTOCOL_VIOLATION: 'lost',
};

/**
 * What a failed call says about its endpoint.
 *
 * @param isLeaving whether the server has said goodbye on the connection: what it refuses then is no overload
 */
export function outcomeOfFailure({ code }: PooledTcpError, isLeaving: boolean): CallOutcome {
  const outcome = OUTCOMES[code] ?? 'void';
  return outcome === 'refused' && isLeaving ? 'void' : outcome;
}
