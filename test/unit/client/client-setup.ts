import type { CallOptions, ReplyObserver } from '../../../lib/client/active-call.js';
import { Client } from '../../../lib/client/client.js';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import type { Connector } from '../../../lib/connection/connector.js';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import type { OutgoingMessage } from '../../../lib/protocol/messages.js';
import { RecordingLogger } from '../../support/logs.js';
import type { MemoryTransport } from '../../support/memory-transport.js';
import { StepClock } from '../../support/step-clock.js';
import { SessionPeer } from '../connection/session-peer.js';

/** What the caller of a request hears, each thing as a line. */
export class Replies implements ReplyObserver {
  readonly heard: string[] = [];
  error: PooledTcpError | undefined;

  next(value: unknown): void {
    this.heard.push(`next ${String(value)}`);
  }

  complete(): void {
    this.heard.push('complete');
  }

  failed(error: PooledTcpError): void {
    this.heard.push(`failed ${error.code}`);
    this.error = error;
  }

  handlerFailed(error: unknown): void {
    this.heard.push(`handler failed ${String(error)}`);
  }
}

/** One connection that was made: both ends. */
export interface Link {
  readonly address: string;
  readonly client: MemoryTransport;
  readonly server: MemoryTransport;
}

export const message = (pattern: string, data?: unknown): OutgoingMessage => ({
  pattern,
  route: pattern,
  data,
  metadata: undefined,
});

/** A client that is connected with servers in memory, one for each address. */
export function clientOf(options: PooledTcpClientOptions = {}) {
  const clock = new StepClock();
  const logger = new RecordingLogger();
  const links: Link[] = [];
  const servers = new Map<string, SessionPeer>();
  const connected: boolean[] = [];
  /** Addresses that refuse connections, and those that swallow them. */
  const refusing = new Set<string>();
  const hanging = new Set<string>();
  const at = (address: string): SessionPeer => {
    const server = servers.get(address) ?? new SessionPeer(clock);
    servers.set(address, server);
    return server;
  };
  const connector: Connector = async ({ address }, signal) => {
    if (refusing.has(address)) throw new PooledTcpError('PTCP_CONNECT_FAILED', `cannot connect to ${address}`);
    if (hanging.has(address)) {
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    }
    const [client, server] = at(address).accept(address);
    links.push({ address, client, server });
    return client;
  };
  const client = new Client(
    resolveClientOptions({
      endpoints: ['a:1'],
      // Without chance: a delay that is a fifth longer would miss a test's last step.
      backoff: { jitter: 0 },
      heartbeat: false,
      ...options,
      pool: { min: 1, max: 2, ...options.pool },
    }),
    { connected: (isConnected) => connected.push(isConnected) },
    { logger, clock, connector },
  );
  /** Starts a request; the defaults are those of a request without options. */
  const ask = (pattern: string, options: Partial<CallOptions> = {}) => {
    const replies = new Replies();
    const content = options.upload === undefined ? {} : { isStreaming: true };
    const call = client.call({ ...message(pattern), ...content }, replies, { timeoutMs: 10_000, ...options });
    return { replies, call };
  };
  /** Breaks every connection to an address, as by a reset. */
  const cut = (address: string): void => {
    for (const link of links) if (link.address === address) link.client.fail(new Error('ECONNRESET'));
  };
  return { client, clock, logger, links, at, connected, refusing, hanging, ask, cut };
}

/** The same, with its minimum open. */
export async function connectedClientOf(options: PooledTcpClientOptions = {}) {
  const all = clientOf(options);
  await all.client.connect();
  return all;
}

/** Many calls, each answered after its server's delay in milliseconds: the client learns who is quick. */
export async function teachLatencies(
  { at, ask, clock }: Pick<Awaited<ReturnType<typeof connectedClientOf>>, 'at' | 'ask' | 'clock'>,
  delays: Readonly<Record<string, number>>,
): Promise<void> {
  const servers = Object.entries(delays);
  for (const [address, delayMs] of servers) {
    at(address).onCall = (call) => {
      clock.setTimeout(() => {
        call.respond(address);
      }, delayMs);
    };
  }
  for (let i = 0; i < 200; i++) {
    ask('teach');
    await clock.run(5, 1);
  }
  await clock.run(100, 10);
  for (const [address] of servers) {
    at(address).calls.length = 0;
    at(address).onCall = undefined;
  }
}
