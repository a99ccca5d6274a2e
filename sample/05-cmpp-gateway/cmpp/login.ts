import { PooledTcpError, type ForeignConnection, type MessageCodec } from '../../../lib/index.js';
import { authenticatorIsmg, authenticatorSource, isSame, timestampOf } from './authenticator.js';
import { VERSION, type Connect, type ConnectResp } from './messages.js';
import { isCmppError, STATUS } from './results.js';

/** Who an SP is to its ISMG. */
export interface SpAccount {
  /** The enterprise code, six digits. */
  readonly sourceAddr: string;
  /** The shared secret. */
  readonly secret: string;
}

/** The login of an SP, on every connection of its pool: both ends show that they know the secret. */
export function loginAs({ sourceAddr, secret }: SpAccount): NonNullable<MessageCodec['onConnect']> {
  return async (connection) => {
    const timestamp = timestampOf(new Date());
    const source = authenticatorSource(sourceAddr, secret, timestamp);
    const request: Connect = { sourceAddr, authenticatorSource: source, version: VERSION, timestamp };
    const { authenticatorIsmg: shown } = await connect(connection, request);
    if (!isSame(shown, authenticatorIsmg(STATUS.ok, source, secret)))
      throw new Error(`${connection.peer} let SP ${sourceAddr} in without knowing its secret: this is not its ISMG`);
  };
}

async function connect(connection: ForeignConnection, request: Connect): Promise<ConnectResp> {
  try {
    return await connection.request<ConnectResp>('connect', request);
  } catch (error) {
    if (!(error instanceof PooledTcpError) || !isCmppError(error.cause)) throw error;
    throw new Error(`the ISMG refused SP ${request.sourceAddr}: ${error.cause.message}`, { cause: error });
  }
}
