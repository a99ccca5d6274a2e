import { describe, expect, it } from '@jest/globals';
import { ERROR_CODES } from '../../../lib/errors/codes.js';

/** Codes are permanent: this list only ever grows. */
const RELEASED = [
  'PTCP_ABORTED',
  'PTCP_ACQUIRE_TIMEOUT',
  'PTCP_CONNECTION_LOST',
  'PTCP_CONNECT_FAILED',
  'PTCP_CONNECT_TIMEOUT',
  'PTCP_DEADLINE_EXCEEDED',
  'PTCP_FRAME_MALFORMED',
  'PTCP_FRAME_TIMEOUT',
  'PTCP_FRAME_TOO_LARGE',
  'PTCP_HANDLER_FAILED',
  'PTCP_HANDSHAKE_FAILED',
  'PTCP_HEARTBEAT_TIMEOUT',
  'PTCP_LEASE_RECLAIMED',
  'PTCP_LEASE_RELEASED',
  'PTCP_LISTEN_FAILED',
  'PTCP_NO_HANDLER',
  'PTCP_OPTION_CONFLICT',
  'PTCP_OPTION_INVALID',
  'PTCP_OPTION_UNKNOWN',
  'PTCP_PACKAGE_MISSING',
  'PTCP_PAYLOAD_MALFORMED',
  'PTCP_PAYLOAD_UNSERIALIZABLE',
  'PTCP_POOL_CLOSED',
  'PTCP_POOL_EXHAUSTED',
  'PTCP_POOL_PREWARM_FAILED',
  'PTCP_PORTS_EXHAUSTED',
  'PTCP_PROTOCOL_MISMATCH',
  'PTCP_PROTOCOL_VIOLATION',
  'PTCP_REQUEST_TIMEOUT',
  'PTCP_RESOLVE_FAILED',
  'PTCP_SERVER_OVERLOADED',
  'PTCP_SOURCE_FAILED',
  'PTCP_UNAUTHENTICATED',
  'PTCP_UNSUPPORTED',
  'PTCP_WRITE_OVERFLOW',
];

describe('error codes', () => {
  it('keep their names for ever', () => {
    expect(Object.keys(ERROR_CODES).sort()).toEqual(RELEASED);
  });

  it('each say when they occur and what to do', () => {
    for (const [code, { when, remedy }] of Object.entries(ERROR_CODES)) {
      expect(code).toMatch(/^PTCP_[A-Z]+(_[A-Z]+)*$/);
      expect(when).toMatch(/^\S.{20,}\.$/);
      expect(remedy).toMatch(/^\S.{15,}\.$/);
    }
  });
});
