import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';
import { fromUtf8 } from './utf8.js';

/**
 * `JSON.stringify` with our error; `undefined` where JSON has no value.
 *
 * @throws PooledTcpError `PTCP_PAYLOAD_UNSERIALIZABLE`
 */
export function toJson(data: unknown): string | undefined {
  try {
    return JSON.stringify(data);
  } catch (cause) {
    throw new PooledTcpError('PTCP_PAYLOAD_UNSERIALIZABLE', `the payload cannot be serialised: ${firstLine(cause)}`, {
      cause,
    });
  }
}

/** @throws PooledTcpError `PTCP_PAYLOAD_MALFORMED`; the message never quotes the payload */
export function fromJson(bytes: Buffer, start: number, end: number): unknown {
  try {
    return JSON.parse(fromUtf8(bytes, start, end));
  } catch {
    throw new PooledTcpError('PTCP_PAYLOAD_MALFORMED', `${end - start} bytes that should be JSON do not parse`);
  }
}

/** Whether a parsed value is an object, and no array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function firstLine(cause: unknown): string {
  return (describeCause(cause).split('\n', 1)[0] ?? '').slice(0, 200);
}
