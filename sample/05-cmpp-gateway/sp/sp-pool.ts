import type { HeartbeatSettings, PooledTcpClientOptions } from '../../../lib/index.js';
import { cmppCodec, framing, type Traffic } from '../cmpp/cmpp-codec.js';
import { loginAs, type SpAccount } from '../cmpp/login.js';
import type { Deliver, DeliverResp } from '../cmpp/messages.js';
import { ANSWER_TIMEOUT_MS, linkTest, WINDOW } from '../cmpp/parameters.js';

export interface SpPoolOptions extends SpAccount {
  /** Address of the ISMG. */
  readonly ismg: string;
  /** Connections to it; how many an SP may have, its contract says. */
  readonly connections?: { readonly min: number; readonly max: number } | undefined;
  readonly heartbeat?: HeartbeatSettings | undefined;
  /** Takes what the ISMG delivers, and says what it is answered with. */
  readonly onDeliver: (deliver: Deliver) => DeliverResp;
  readonly onTraffic?: ((traffic: Traffic) => void) | undefined;
}

/** The SP's end of CMPP 3.0: options of a pool as any other. */
export function spPool({
  ismg,
  connections = { min: 2, max: 4 },
  heartbeat = linkTest(),
  onDeliver,
  onTraffic,
  ...account
}: SpPoolOptions): PooledTcpClientOptions {
  return {
    endpoints: [ismg],
    framing,
    codec: {
      ...cmppCodec({ role: 'sp', onTraffic }),
      onConnect: loginAs(account),
      onPush: ({ data }) => onDeliver(data as Deliver),
    },
    pool: {
      ...connections,
      maxInFlight: WINDOW,
      // A long connection stays, and is asked for a sign of life when the specification says so.
      maxLifetimeMs: 0,
      validateAfterIdleMs: heartbeat.intervalMs,
    },
    heartbeat,
    requestTimeoutMs: ANSWER_TIMEOUT_MS,
  };
}
