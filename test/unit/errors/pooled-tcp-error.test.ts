import { describe, expect, it } from '@jest/globals';
import { PooledTcpError, describeCause } from '../../../lib/errors/pooled-tcp-error.js';

describe('PooledTcpError', () => {
  it('carries code, peer, elapsed time, cause, and whether the request can have been handled', () => {
    const cause = new Error('ECONNRESET');
    const error = new PooledTcpError('PTCP_CONNECTION_LOST', 'gone', {
      sent: true,
      peer: '10.0.0.1:4000',
      elapsedMs: 12,
      cause,
    });

    expect(error).toBeInstanceOf(PooledTcpError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true, peer: '10.0.0.1:4000', elapsedMs: 12 });
    expect(error.message).toBe('gone');
    expect(error.cause).toBe(cause);
    expect(error.stack).toContain('pooled-tcp-error.test');
  });

  it('counts as unsent where nothing is said about it', () => {
    const error = new PooledTcpError('PTCP_POOL_CLOSED', 'closed');

    expect(error.sent).toBe(false);
    expect(error.peer).toBeUndefined();
    expect(error.elapsedMs).toBeUndefined();
    expect('cause' in error).toBe(false);
  });

  it('has its name on the prototype, as the built-in errors do', () => {
    const error = new PooledTcpError('PTCP_ABORTED', 'no');

    expect(error.name).toBe('PooledTcpError');
    expect(Object.hasOwn(error, 'name')).toBe(false);
    expect(String(error)).toBe('PooledTcpError: no');
    expect(JSON.parse(JSON.stringify(error))).toEqual({ code: 'PTCP_ABORTED', sent: false });
  });

  it('keeps a cause that is false, null or an empty string', () => {
    for (const cause of [false, null, '', 0]) {
      expect(new PooledTcpError('PTCP_HANDLER_FAILED', 'x', { cause })).toHaveProperty('cause', cause);
    }
  });
});

describe('describeCause', () => {
  it('takes the message of an error, of anything like one, and a string as it is', () => {
    expect(describeCause(new TypeError('bad'))).toBe('bad');
    expect(describeCause({ message: 'from elsewhere', status: 'error' })).toBe('from elsewhere');
    expect(describeCause('just text')).toBe('just text');
  });

  it('lists what an AggregateError without a message holds, as a dial of two addresses throws it', () => {
    const dial = new AggregateError([
      new Error('connect ECONNREFUSED ::1'),
      new Error('connect ECONNREFUSED 127.0.0.1'),
    ]);

    expect(describeCause(dial)).toBe('connect ECONNREFUSED ::1; connect ECONNREFUSED 127.0.0.1');
    expect(describeCause(new AggregateError([new Error('a')], 'all failed'))).toBe('all failed');
  });

  it('says no more than the type of anything else, so that no payload gets into a message', () => {
    expect(describeCause({ password: 'secret' })).toBe('object');
    expect(describeCause({ message: 42 })).toBe('object');
    expect(describeCause(null)).toBe('object');
    expect(describeCause(undefined)).toBe('undefined');
    expect(describeCause(42)).toBe('number');
  });
});
