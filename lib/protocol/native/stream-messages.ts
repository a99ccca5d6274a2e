import { FAILURES, type FailureKind } from '../messages.js';
import { violation } from '../protocol.js';
import { TYPE } from './format.js';
import type { FrameFields } from './frame-fields.js';
import type { FrameReader } from './native-decoder.js';
import type { NativeEncoder } from './native-encoder.js';

/** What either end hears of a stream that the other sends. */
export interface StreamSink {
  item(id: number, data: unknown, bytes: number): void;
  failure(id: number, kind: FailureKind, error: unknown): void;
}

/** @returns the id of a stream that cannot go on, since this item of it does not parse */
export function readItem(frame: FrameReader, sink: StreamSink): number | undefined {
  const id = frame.uint32();
  const bytes = frame.frameBytes;
  const payload = frame.payloadOr((error) => {
    sink.failure(id, 'malformed', error.message);
  });
  if (payload === undefined) return id;
  sink.item(id, payload.data, bytes);
  return undefined;
}

/** @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION` */
export function readFailure(frame: FrameReader, sink: StreamSink): void {
  const id = frame.uint32();
  const failure = FAILURES[frame.uint8()];
  if (failure === undefined) throw violation('a failure of unknown kind');
  const payload = frame.payloadOr((error) => {
    sink.failure(id, 'malformed', error.message);
  });
  if (payload !== undefined) sink.failure(id, failure.kind, payload.data);
}

export function writeFailure(encoder: NativeEncoder, id: number, kind: FailureKind, error: unknown): void {
  const number = FAILURES.findIndex((failure) => failure.kind === kind);
  const fields: FrameFields = { bytes: 5, write: (slab, at) => slab.writeUInt8(number, slab.writeUInt32BE(id, at)) };
  encoder.write(TYPE.failure, 0, fields, error, id);
}
