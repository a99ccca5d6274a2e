import { foreignOf } from '../connection/foreign-settings.js';
import type { PooledTcpError } from '../errors/pooled-tcp-error.js';
import { ForeignServerProtocol } from '../protocol/foreign/foreign-server.js';
import type { Hello } from '../protocol/hello.js';
import type { MessageWriter, ServerSink } from '../protocol/messages.js';
import { NestJsonServerProtocol } from '../protocol/nest-json-server.js';
import type { ServerProtocol } from '../protocol/protocol.js';
import { MAX_UNAUTHENTICATED_BYTES } from './authentication.js';
import type { ServerSettings } from './settings.js';

export interface FirstProtocolDependencies {
  readonly settings: ServerSettings;
  /** Address of the client. */
  readonly peer: string;
  /** What lives as long as the session. */
  readonly data: () => Map<unknown, unknown>;
  /** The first frame is our client's hello. @returns whether the connection goes on in the native protocol */
  readonly onHello: (hello: Hello, id: unknown) => boolean;
  /** Why this client is refused, where it is. */
  readonly refusal: () => PooledTcpError | undefined;
  /** The protocol has broken outside of what was received. */
  readonly failed: (error: PooledTcpError) => void;
}

/** What a session speaks first: the stock Nest wire, on which a hello may come, or the foreign protocol of the options. */
export function firstProtocol(
  writer: MessageWriter,
  sink: ServerSink,
  { settings, peer, data, onHello, refusal, failed }: FirstProtocolDependencies,
): ServerProtocol {
  const foreign = foreignOf(settings);
  if (foreign !== undefined) {
    const { maxFrameBytes, maxInFlightPerConnection: maxWaiting } = settings;
    return new ForeignServerProtocol(writer, sink, { ...foreign, maxFrameBytes, maxWaiting, peer, data, failed });
  }
  return new NestJsonServerProtocol(writer, sink, {
    ...settings,
    maxFrameBytes: firstFrameBytes(settings),
    onHello: settings.protocol === 'nest-json' ? undefined : onHello,
    refusal,
  });
}

/** A client that has not shown who it is says no more than its hello. */
function firstFrameBytes({ authenticate: hook, maxFrameBytes }: ServerSettings): number {
  return hook === undefined ? maxFrameBytes : Math.min(maxFrameBytes, MAX_UNAUTHENTICATED_BYTES);
}
