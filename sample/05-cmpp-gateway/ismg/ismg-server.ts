import { PooledTcpServer, type HeartbeatSettings } from '../../../lib/index.js';
import { cmppCodec, framing, type Traffic } from '../cmpp/cmpp-codec.js';
import { linkTest, PORTS, WINDOW } from '../cmpp/parameters.js';

export interface IsmgServerOptions {
  readonly host?: string | undefined;
  /** Default: 7890. */
  readonly port?: number | undefined;
  readonly heartbeat?: HeartbeatSettings | undefined;
  readonly onTraffic?: ((traffic: Traffic) => void) | undefined;
}

/** The ISMG's end of CMPP 3.0: a Nest transport strategy as any other. */
export function ismgServer({
  host = '127.0.0.1',
  port = PORTS.long,
  heartbeat = linkTest(),
  onTraffic,
}: IsmgServerOptions): PooledTcpServer {
  return new PooledTcpServer({
    host,
    port,
    framing,
    codec: cmppCodec({ role: 'ismg', onTraffic }),
    heartbeat,
    // Silence is what the link test is for: after C it asks, and only after N times T it gives the connection up.
    idleTimeoutMs: 0,
    // W: the next CMPP_SUBMIT is answered with Result 8, flow control.
    maxInFlightPerConnection: WINDOW,
  });
}
