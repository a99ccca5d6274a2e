import type { Clock } from '../common/clock.js';
import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import { Correlation } from '../protocol/foreign/correlation.js';
import { ForeignClientProtocol } from '../protocol/foreign/foreign-client.js';
import type { ClientSink } from '../protocol/messages.js';
import type { Connection } from './connection.js';
import type { ForeignSettings } from './foreign-settings.js';

/** A connection's side of a foreign protocol. */
export function openForeign(
  connection: Connection,
  sink: ClientSink,
  { framing, codec }: ForeignSettings,
  options: {
    readonly clock: Clock;
    readonly maxFrameBytes: number;
    readonly correlation?: Correlation | undefined;
  },
): ForeignClientProtocol {
  const { clock, maxFrameBytes, correlation = new Correlation(codec) } = options;
  return new ForeignClientProtocol(connection, sink, {
    framing,
    codec,
    maxFrameBytes,
    correlation,
    clock,
    peer: connection.peer,
    failed: (error) => {
      connection.destroy(error);
    },
  });
}

/** @throws PooledTcpError `PTCP_HANDSHAKE_FAILED` with what the codec's hook threw as `cause` */
export async function login(protocol: ForeignClientProtocol, peer: string): Promise<void> {
  try {
    await protocol.login();
  } catch (cause) {
    throw new PooledTcpError('PTCP_HANDSHAKE_FAILED', `the login to ${peer} failed: ${describeCause(cause)}`, {
      peer,
      cause,
    });
  }
}
