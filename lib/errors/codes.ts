/**
 * Every code a `PooledTcpError` can carry. Codes are permanent: a released code keeps its name and its
 * meaning for ever, and code may be branched on (`err.code === 'PTCP_ACQUIRE_TIMEOUT'`), messages may not.
 *
 * `when` says what happened, `remedy` what the reader can do about it. `docs/errors.md` is generated from
 * this table, and a test pins its keys.
 */
export const ERROR_CODES = {
  PTCP_OPTION_INVALID: {
    when: 'An option has a value of the wrong type or outside its range.',
    remedy: 'The message names the path, the value and what to write instead.',
  },
  PTCP_OPTION_UNKNOWN: {
    when: 'An option is not one this library knows.',
    remedy: 'Remove it or correct its spelling; the message suggests the nearest known name.',
  },
  PTCP_OPTION_CONFLICT: {
    when: 'Two options contradict each other.',
    remedy: 'Change one of the two options that the message names.',
  },
  PTCP_PACKAGE_MISSING: {
    when: 'An option needs an optional package that is not installed, or does not load.',
    remedy: 'Install the package that the message names, with the command that it names.',
  },
  PTCP_RESOLVE_FAILED: {
    when: 'The resolver yielded no endpoint (a DNS name without records, a failing look-up).',
    remedy: 'Check the name from the same host; `cause` carries the resolver’s own error.',
  },
  PTCP_CONNECT_FAILED: {
    when: 'A connection could not be opened: refused, unreachable, name not found, or TLS failed.',
    remedy: '`cause` carries the system’s error; check that the server listens on that address.',
  },
  PTCP_CONNECT_TIMEOUT: {
    when: 'TCP, TLS and the hello together took longer than `pool.connectTimeoutMs`.',
    remedy: 'The host drops packets or is overloaded; raise `pool.connectTimeoutMs` only for slow links.',
  },
  PTCP_PORTS_EXHAUSTED: {
    when: 'A connection could not be opened, because this machine has no local port left for it: too many connections to the endpoint are open, or were closed within the last minute.',
    remedy:
      "Use `pool.mode: 'shared'`, which keeps its connections; or more endpoints; or widen `net.ipv4.ip_local_port_range`. The message has the counts.",
  },
  PTCP_HANDSHAKE_FAILED: {
    when: 'The peer accepted the connection but closed it, or answered nonsense, before the hello was done; or the login of a foreign protocol failed.',
    remedy:
      'Check that the address belongs to a Nest TCP service and that both ends agree on TLS. Of a login, `cause` says what the peer, or `onConnect`, said.',
  },
  PTCP_UNAUTHENTICATED: {
    when: 'The server has `authenticate`, and it does not know the client: no credentials, or wrong ones.',
    remedy: 'Set `credentials` as the server expects them; the server’s log says more. Nothing ran (`sent` is false).',
  },
  PTCP_PROTOCOL_MISMATCH: {
    when: 'The peer does not speak the protocol that the options insist on.',
    remedy: 'Use `protocol: "auto"` to fall back to the stock Nest wire format.',
  },
  PTCP_ACQUIRE_TIMEOUT: {
    when: 'No connection came free within `pool.acquireTimeoutMs`.',
    remedy: 'The message names the counts and the last dial failure: raise `pool.max`, or mend the server.',
  },
  PTCP_POOL_EXHAUSTED: {
    when: 'More callers already wait for a connection than `pool.maxWaiters` allows.',
    remedy: 'Shed load, raise `pool.max`, or raise `pool.maxWaiters`.',
  },
  PTCP_POOL_CLOSED: {
    when: 'The pool is closed or draining and takes no new work.',
    remedy: 'Stop calling during shutdown; nothing was sent.',
  },
  PTCP_POOL_PREWARM_FAILED: {
    when: 'No endpoint reached `pool.min` connections within `pool.prewarmTimeoutMs` at boot.',
    remedy: 'Start the peer first, or use `pool.prewarm: "background"`.',
  },
  PTCP_LEASE_RELEASED: {
    when: 'A lease was used, or released again, after it had been released.',
    remedy: 'Do not keep a lease past `release()`; acquire another.',
  },
  PTCP_LEASE_RECLAIMED: {
    when: 'A lease was held longer than `pool.leakReclaimMs`, so the pool took it back.',
    remedy: 'Release in a `finally` (or use `await using`); the warning logged earlier shows who borrowed it.',
  },
  PTCP_REQUEST_TIMEOUT: {
    when: 'No reply came within `requestTimeoutMs` (for streams: no further item).',
    remedy: 'Raise the timeout for slow handlers; `sent` tells whether a handler can have run.',
  },
  PTCP_ABORTED: {
    when: 'The caller’s `AbortSignal` fired.',
    remedy: 'None: this is what the caller asked for. `cause` carries the signal’s reason.',
  },
  PTCP_CONNECTION_LOST: {
    when: 'The connection closed (end, reset, or a local destroy) while the call was in flight.',
    remedy: 'Repeat the call if it is idempotent, or if `sent` is false.',
  },
  PTCP_HEARTBEAT_TIMEOUT: {
    when: 'The peer did not answer a heartbeat in time; the connection was destroyed.',
    remedy: 'The peer is frozen or unreachable. Repeat the call if it is idempotent.',
  },
  PTCP_NO_HANDLER: {
    when: 'The server has no handler for the pattern.',
    remedy: 'Compare the pattern with `@MessagePattern()` on the server; object keys count, their order does not.',
  },
  PTCP_HANDLER_FAILED: {
    when: 'The handler threw. `cause` carries what it answered, as `send()` would have delivered it.',
    remedy: 'Look at `cause`; the server’s log has the stack.',
  },
  PTCP_SOURCE_FAILED: {
    when: 'What a request streams to its handler has failed at its source. The handler’s stream fails with it, too.',
    remedy: '`cause` carries the source’s own error.',
  },
  PTCP_DEADLINE_EXCEEDED: {
    when: 'The deadline that travelled with the request has passed at the server. Handlers see it as the reason of `context.getSignal()`.',
    remedy: 'The server is overloaded or the deadline too short.',
  },
  PTCP_SERVER_OVERLOADED: {
    when: 'The server refused the request before starting it, because it is at its limit or draining.',
    remedy: 'Nothing ran (`sent` is false): safe to repeat elsewhere.',
  },
  PTCP_PAYLOAD_UNSERIALIZABLE: {
    when: 'A value cannot be turned into bytes (a cycle, a BigInt, a throwing `toJSON`).',
    remedy: 'Send plain data. `cause` carries the serializer’s error.',
  },
  PTCP_PAYLOAD_MALFORMED: {
    when: 'A payload does not parse (invalid JSON, or a custom deserializer threw).',
    remedy: 'The two ends disagree about the payload format.',
  },
  PTCP_FRAME_TOO_LARGE: {
    when: 'A frame is larger than `maxFrameBytes`.',
    remedy: 'Raise `maxFrameBytes` on both ends, or send less at once.',
  },
  PTCP_FRAME_MALFORMED: {
    when: 'Bytes on the connection are not a frame (a corrupt length, a truncated frame).',
    remedy:
      'The peer speaks another protocol, or the port is wrong, or it died while it wrote: then idempotent calls are repeated. The connection was closed.',
  },
  PTCP_FRAME_TIMEOUT: {
    when: 'The peer began a frame and did not go on with it within `partialFrameTimeoutMs`.',
    remedy: 'The sender is frozen, or its link carries less than 64 KiB in that time. The connection was closed.',
  },
  PTCP_PROTOCOL_VIOLATION: {
    when: 'A well-framed message breaks the protocol (unknown type, wrong direction, undefined pattern id).',
    remedy: 'The peer has a defect or speaks a newer version. The connection was closed.',
  },
  PTCP_WRITE_OVERFLOW: {
    when: 'The peer does not take what is sent: more than `maxPendingWriteBytes` would wait for it, or more pushes than `push.maxPendingBytes`.',
    remedy:
      'A stream, or a large message, that would exceed the bound fails alone; let its source wait (an async iterable does). Where the kernel takes nothing any more, the connection was closed; look at the peer. For pushes, `push.slowReader` says what else may become of them.',
  },
  PTCP_LISTEN_FAILED: {
    when: 'The server could not listen (address in use, permission denied, bad address).',
    remedy: '`cause` carries the system’s error.',
  },
  PTCP_UNSUPPORTED: {
    when: 'The operation does not exist on this kind of connection.',
    remedy: 'The message says which kind has it.',
  },
} as const satisfies Record<string, { readonly when: string; readonly remedy: string }>;

/** A permanent error code; see {@link ERROR_CODES}. */
export type PooledTcpErrorCode = keyof typeof ERROR_CODES;

/** Whether a value, such as one a peer sent, is one of our codes. */
export function isErrorCode(value: unknown): value is PooledTcpErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}
