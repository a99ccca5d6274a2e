import type { ReplyObserver } from '../../../lib/client/active-call.js';
import type { RunningCall, CallOptions } from '../../../lib/client/active-call.js';
import { Client } from '../../../lib/client/client.js';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import type { UploadSource } from '../../../lib/client/upload.js';
import type { ItemSink } from '../../../lib/connection/item-sink.js';
import type { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import type { PooledTcpServerOptions } from '../../../lib/server/settings.js';
import { RecordingLogger } from '../../support/logs.js';
import type { MemoryTransport } from '../../support/memory-transport.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { SessionPeer } from '../connection/session-peer.js';

/** Keeps items until the test takes them, as a consumer that pulls. */
export class Puller implements ReplyObserver {
  readonly keepsItems: boolean;
  readonly items: unknown[] = [];
  outcome: string | undefined;
  error: PooledTcpError | undefined;
  call: RunningCall | undefined;
  readonly #untaken: number[] = [];

  constructor(keepsItems = true) {
    this.keepsItems = keepsItems;
  }

  next(value: unknown, bytes: number): void {
    this.items.push(value);
    if (this.keepsItems && bytes > 0) this.#untaken.push(bytes);
  }

  /** Takes as many items as there are, or so many. */
  take(count = this.#untaken.length): void {
    for (const bytes of this.#untaken.splice(0, count)) this.call?.taken(bytes);
  }

  complete(): void {
    this.outcome = 'complete';
  }

  failed(error: PooledTcpError): void {
    this.outcome = error.code;
    this.error = error;
  }

  handlerFailed(error: unknown): void {
    this.outcome = `handler failed ${String(error)}`;
  }
}

/** A source that the test feeds. */
export class HandSource implements UploadSource {
  sink!: ItemSink;
  stops = 0;

  start(sink: ItemSink): () => void {
    this.sink = sink;
    return () => {
      this.stops += 1;
    };
  }
}

/** A client with one connection to a session over memory. */
export async function linkedClient({
  client: options = {},
  server = {},
}: { client?: PooledTcpClientOptions; server?: PooledTcpServerOptions } = {}) {
  const clock = new StepClock();
  const peer = new SessionPeer(clock, server);
  const links: { readonly client: MemoryTransport; readonly server: MemoryTransport }[] = [];
  const client = new Client(
    resolveClientOptions({
      endpoints: ['a:1'],
      backoff: { jitter: 0 },
      heartbeat: false,
      ...options,
      pool: { min: 1, max: 1, idleTimeoutMs: 0, maxLifetimeMs: 0, ...options.pool },
    }),
    { connected: () => undefined },
    {
      logger: new RecordingLogger(),
      clock,
      connector: ({ address }) => {
        const [end, other] = peer.accept(address);
        links.push({ client: end, server: other });
        return Promise.resolve(end);
      },
    },
  );
  await client.connect();
  const call = (
    pattern: string,
    { data, ...rest }: Partial<CallOptions> & { data?: unknown } = {},
    observer = new Puller(),
  ): Puller => {
    const isStreaming = rest.upload !== undefined;
    observer.call = client.call({ pattern, route: pattern, data, metadata: undefined, isStreaming }, observer, {
      timeoutMs: 1_000,
      ...rest,
    });
    return observer;
  };
  const end = async (): Promise<void> => {
    client.destroy();
    await settled();
  };
  return { client, clock, peer, links, call, end };
}
