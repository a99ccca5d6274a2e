import { PooledTcpError, describeCause } from '../errors/pooled-tcp-error.js';

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
    // UTF-8 is what it reads unless told otherwise; being told costs a look at the word.
    return JSON.parse(bytes.toString(undefined, start, end));
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
