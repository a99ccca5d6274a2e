import { describe, expect, it } from '@jest/globals';
import { outcomeOfFailure } from '../../../lib/client/call-outcome.js';
import type { PooledTcpErrorCode } from '../../../lib/errors/codes.js';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';

const of = (code: PooledTcpErrorCode, isLeaving = false) => outcomeOfFailure(new PooledTcpError(code, ''), isLeaving);

describe('a failed call', () => {
  it('speaks for the endpoint where a handler was asked', () => {
    expect([of('PTCP_HANDLER_FAILED'), of('PTCP_NO_HANDLER')]).toEqual(['answered', 'answered']);
  });

  it('speaks against it where it refuses, is late or is lost', () => {
    expect(of('PTCP_SERVER_OVERLOADED')).toBe('refused');
    expect([of('PTCP_REQUEST_TIMEOUT'), of('PTCP_DEADLINE_EXCEEDED')]).toEqual(['late', 'late']);
    expect([of('PTCP_CONNECTION_LOST'), of('PTCP_HEARTBEAT_TIMEOUT')]).toEqual(['lost', 'lost']);
  });

  it('says nothing where the fault is the caller’s, or the server is leaving in good order', () => {
    const codes = ['PTCP_ABORTED', 'PTCP_PAYLOAD_UNSERIALIZABLE', 'PTCP_POOL_CLOSED', 'PTCP_LEASE_RELEASED'] as const;
    expect(codes.map((code) => of(code))).toEqual(['void', 'void', 'void', 'void']);
    expect(of('PTCP_SERVER_OVERLOADED', true)).toBe('void');
  });
});
