import { StepClock } from '../../support/step-clock.js';
import { Output } from '../../../lib/framing/output.js';
import type { PayloadCodec } from '../../../lib/protocol/codec.js';
import type { ClientSink, MessageWriter, OutgoingMessage, ServerSink } from '../../../lib/protocol/messages.js';
import { NativeClientProtocol } from '../../../lib/protocol/native/native-client.js';
import { NativeServerProtocol } from '../../../lib/protocol/native/native-server.js';
import { NestJsonClientProtocol } from '../../../lib/protocol/nest-json-client.js';
import { NestJsonServerProtocol, type NestJsonServerOptions } from '../../../lib/protocol/nest-json-server.js';
import type { ClientProtocol, ServerProtocol } from '../../../lib/protocol/protocol.js';

export const MAX_FRAME_BYTES = 8 * 1024 * 1024;

/** One message as a sink heard it: the method, then its arguments. */
export type Heard = readonly [method: string, ...values: unknown[]];

/** A writer whose bytes stay in memory. */
export class MemoryWriter implements MessageWriter {
  readonly output = new Output();
  /** How often the protocol asked for a flush. */
  scheduled = 0;

  schedule(): void {
    this.scheduled += 1;
  }

  /** Bytes that are kept back. */
  held = 0;

  hold(bytes: number): void {
    this.held += bytes;
  }

  take(): Buffer {
    return Buffer.concat(this.output.take());
  }
}

export function clientSink(heard: Heard[]): ClientSink {
  return {
    response: (...values) => heard.push(['response', ...values]),
    item: (id, data) => heard.push(['item', id, data]),
    credit: (...values) => heard.push(['credit', ...values]),
    end: (...values) => heard.push(['end', ...values]),
    failure: (...values) => heard.push(['failure', ...values]),
    unsent: (id, { code }) => heard.push(['unsent', id, code]),
    push: (...values) => heard.push(['push', ...values]),
    ping: (...values) => heard.push(['ping', ...values]),
    pong: (...values) => heard.push(['pong', ...values]),
    goaway: (...values) => heard.push(['goaway', ...values]),
    malformed: ({ code }) => heard.push(['malformed', code]),
  };
}

export function serverSink(heard: Heard[]): ServerSink {
  return {
    request: (id, pattern, data, metadata, timeoutMs, isStreaming) =>
      heard.push(['request', id, pattern, data, metadata, timeoutMs, ...(isStreaming ? ['streaming'] : [])]),
    item: (id, data) => heard.push(['item', id, data]),
    end: (...values) => heard.push(['end', ...values]),
    failure: (...values) => heard.push(['failure', ...values]),
    credit: (...values) => heard.push(['credit', ...values]),
    event: (...values) => heard.push(['event', ...values]),
    cancel: (...values) => heard.push(['cancel', ...values]),
    ping: (...values) => heard.push(['ping', ...values]),
    pong: (...values) => heard.push(['pong', ...values]),
    goaway: (...values) => heard.push(['goaway', ...values]),
    malformed: ({ code }) => heard.push(['malformed', code]),
  };
}

/** A client's and a server's protocol, back to back: what one writes, the other is given on request. */
export class Wire<C extends ClientProtocol, S extends ServerProtocol> {
  readonly clientWriter: MemoryWriter;
  readonly serverWriter: MemoryWriter;
  /** What the client has heard. */
  readonly clientHeard: Heard[];
  readonly serverHeard: Heard[];
  readonly client: C;
  readonly server: S;

  constructor(make: {
    client: (writer: MemoryWriter, sink: ClientSink) => C;
    server: (writer: MemoryWriter, sink: ServerSink) => S;
  }) {
    this.clientWriter = new MemoryWriter();
    this.serverWriter = new MemoryWriter();
    this.clientHeard = [];
    this.serverHeard = [];
    this.client = make.client(this.clientWriter, clientSink(this.clientHeard));
    this.server = make.server(this.serverWriter, serverSink(this.serverHeard));
  }

  /** Delivers what the client wrote; returns what the server has heard of it. */
  toServer(): Heard[] {
    this.server.receive(this.clientWriter.take());
    return this.serverHeard.splice(0);
  }

  /** Delivers what the server wrote; returns what the client has heard of it. */
  toClient(): Heard[] {
    this.client.receive(this.serverWriter.take());
    return this.clientHeard.splice(0);
  }
}

export interface NativeLimits {
  /** Largest frame the server takes. */
  readonly serverMaxFrameBytes?: number;
  /** Largest frame the client takes. */
  readonly clientMaxFrameBytes?: number;
  readonly maxPatterns?: number;
  readonly clock?: StepClock;
  /** What both ends agreed on. Default JSON. */
  readonly codec?: PayloadCodec;
}

export function nativeWire({
  serverMaxFrameBytes = MAX_FRAME_BYTES,
  clientMaxFrameBytes = MAX_FRAME_BYTES,
  maxPatterns = 1024,
  clock = new StepClock(),
  codec,
}: NativeLimits = {}): Wire<ClientProtocol, ServerProtocol> {
  return new Wire({
    client: (writer, sink) =>
      new NativeClientProtocol(writer, sink, {
        clock,
        maxFrameBytes: clientMaxFrameBytes,
        peerMaxFrameBytes: serverMaxFrameBytes,
        maxPatterns,
        codec,
      }),
    server: (writer, sink) =>
      new NativeServerProtocol(writer, sink, {
        clock,
        maxFrameBytes: serverMaxFrameBytes,
        peerMaxFrameBytes: clientMaxFrameBytes,
        codec,
      }),
  });
}

export function nestJsonWire(
  options: { client?: Partial<NestJsonServerOptions>; server?: Partial<NestJsonServerOptions> } = {},
): Wire<ClientProtocol, ServerProtocol & Pick<NestJsonServerProtocol, 'takeRest' | 'hasFrame'>> {
  return new Wire({
    client: (writer, sink) =>
      new NestJsonClientProtocol(writer, sink, { maxFrameBytes: MAX_FRAME_BYTES, ...options.client }),
    server: (writer, sink) =>
      new NestJsonServerProtocol(writer, sink, { maxFrameBytes: MAX_FRAME_BYTES, ...options.server }),
  });
}

/** A message as the client hands it down: a string pattern is its own route. */
export function message(route: string, data?: unknown, metadata?: OutgoingMessage['metadata']): OutgoingMessage {
  return { pattern: route, route, data, metadata };
}

/** One native frame, put together by hand. */
export function nativeFrame(type: number, flags: number, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat([Buffer.from([type, flags]), ...parts.map((part) => Buffer.from(part as string))]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

export function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** One stock frame around a text that need not be JSON. */
export function nestFrameOf(packet: unknown): Buffer {
  const text = typeof packet === 'string' ? packet : JSON.stringify(packet);
  return Buffer.from(`${text.length}#${text}`);
}

/** The packets in a stream of stock frames in ASCII. */
export function packetsIn(bytes: Buffer): unknown[] {
  const packets: unknown[] = [];
  for (let rest = bytes.toString(); rest !== '';) {
    const hash = rest.indexOf('#');
    const end = hash + 1 + Number(rest.slice(0, hash));
    packets.push(JSON.parse(rest.slice(hash + 1, end)));
    rest = rest.slice(end);
  }
  return packets;
}
