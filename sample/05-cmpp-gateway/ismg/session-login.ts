import type { PooledTcpContext } from '../../../lib/index.js';
import { CmppRefusal, RESULT } from '../cmpp/results.js';
import type { Line } from './outbox.js';
import type { ServiceProvider } from './service-providers.js';

/** What an ISMG remembers of a connection on which an SP has logged in. */
export interface SessionLogin {
  readonly provider: ServiceProvider;
  /** Undefined until CMPP_CONNECT has been answered. */
  line?: Line;
  /** CMPP_SUBMITs that have not been answered. */
  inFlight: number;
}

const LOGIN = Symbol('login');
/** Who is refused has so long to read why, and to close by itself. */
const GRACE_MS = 1_000;

export function loginOf(context: PooledTcpContext): SessionLogin | undefined {
  return context.getSession().data.get(LOGIN) as SessionLogin | undefined;
}

export function rememberLogin(context: PooledTcpContext, login: SessionLogin): void {
  context.getSession().data.set(LOGIN, login);
}

/** Closes the connection of one who is not let in, once the answer has had time to arrive. */
export function letGo(context: PooledTcpContext): void {
  const { netSocket } = context.getSocketRef();
  const timer = setTimeout(() => netSocket.destroy(), GRACE_MS);
  netSocket.once('close', () => {
    clearTimeout(timer);
  });
}

/** Nothing is done for one who has not logged in. @throws CmppRefusal; the connection is closed then */
export function requireLogin(context: PooledTcpContext): SessionLogin {
  const login = loginOf(context);
  if (login !== undefined) return login;
  letGo(context);
  throw new CmppRefusal(RESULT.badCommand, 'CMPP_CONNECT comes first');
}
