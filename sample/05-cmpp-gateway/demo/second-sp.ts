import { PooledTcpClient, PooledTcpError } from '../../../lib/index.js';
import type { SubmitResp } from '../cmpp/messages.js';
import { contentsOf } from '../cmpp/short-message.js';
import { Inbox } from '../sp/inbox.js';
import { spPool } from '../sp/sp-pool.js';
import { ACCOUNTS } from './accounts.js';
import type { WireLog } from './wire-log.js';

const [, { sourceAddr, secret, accessNumber }] = ACCOUNTS;

/** Another SP at the same ISMG: a client without Nest around it. */
export class SecondSp {
  readonly inbox = new Inbox();
  readonly #client: PooledTcpClient;

  constructor(ismg: string, wire: WireLog) {
    const onDeliver = this.inbox.take.bind(this.inbox);
    const connections = { min: 1, max: 1 };
    this.#client = new PooledTcpClient({
      name: sourceAddr,
      ...spPool({ ismg, sourceAddr, secret, connections, onDeliver, onTraffic: wire.record }),
    });
  }

  /** @returns the Msg_Id */
  async send(to: string, text: string): Promise<string> {
    const { msgId } = await this.#client.request<SubmitResp>('submit', {
      ...contentsOf(text, 0)[0],
      registeredDelivery: 1,
      msgSrc: sourceAddr,
      srcId: accessNumber,
      destTerminalIds: [to],
    });
    return String(msgId);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  destroy(): void {
    this.#client.destroy();
  }
}

/** What an SP learns that has the wrong secret. */
export async function tryWrongSecret(ismg: string): Promise<string> {
  const inbox = new Inbox();
  const options = spPool({ ismg, sourceAddr, secret: 'a guess', onDeliver: inbox.take.bind(inbox) });
  const client = new PooledTcpClient({
    ...options,
    name: 'a guess',
    pool: { ...options.pool, min: 1, prewarmTimeoutMs: 500 },
  });
  try {
    await client.connect();
    return 'was let in';
  } catch (error) {
    if (!(error instanceof PooledTcpError)) throw error;
    return `${error.code}: ${error.message}`;
  } finally {
    client.destroy();
  }
}
