import type { Framing, MessageCodec } from '../../../lib/index.js';
import type { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { Correlation } from '../../../lib/protocol/foreign/correlation.js';
import { ForeignClientProtocol } from '../../../lib/protocol/foreign/foreign-client.js';
import { ForeignServerProtocol } from '../../../lib/protocol/foreign/foreign-server.js';
import { MAX_FRAME_BYTES, Wire } from '../../unit/protocol/harness.js';
import { StepClock } from '../step-clock.js';

/** Both ends of a foreign protocol, back to back, and what broke them outside of receiving. */
export class ForeignWire extends Wire<ForeignClientProtocol, ForeignServerProtocol> {
  readonly clock: StepClock;
  readonly failures: PooledTcpError[];
  /** What the server keeps for the connection. */
  readonly data: Map<unknown, unknown>;
  /** How often the codec turned out to be serial. */
  readonly learned: { serial: number };

  constructor(framing: Framing, codec: MessageCodec, { maxFrameBytes = MAX_FRAME_BYTES, maxWaiting = 100 } = {}) {
    const clock = new StepClock();
    const failures: PooledTcpError[] = [];
    const data = new Map<unknown, unknown>();
    const learned = { serial: 0 };
    const shared = { framing, codec, maxFrameBytes, failed: (error: PooledTcpError) => void failures.push(error) };
    const correlation = new Correlation(codec, () => {
      learned.serial += 1;
    });
    super({
      client: (writer, sink) =>
        new ForeignClientProtocol(writer, sink, { ...shared, correlation, clock, peer: 'server:4000' }),
      server: (writer, sink) =>
        new ForeignServerProtocol(writer, sink, { ...shared, maxWaiting, peer: 'client:50000', data: () => data }),
    });
    this.clock = clock;
    this.failures = failures;
    this.data = data;
    this.learned = learned;
  }

  /** The client sends a request. */
  request(id: number, pattern: string, data: unknown): void {
    this.client.request(id, { pattern, route: pattern, data, metadata: undefined });
  }
}
