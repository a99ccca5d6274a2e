import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { PooledTcpError } from '../../../lib/index.js';
import { Outbox, type Line } from '../../../sample/05-cmpp-gateway/ismg/outbox.js';
import type { Deliver } from '../../../sample/05-cmpp-gateway/cmpp/messages.js';
import { emptyDeliver } from '../../../sample/05-cmpp-gateway/cmpp/messages.js';

const T = 60_000;

describe('the CMPP_DELIVERs for an SP', () => {
  let outbox: Outbox;
  let unsendable: bigint[];

  beforeEach(() => {
    jest.useFakeTimers();
    unsendable = [];
    const onUnsendable = ({ msgId }: Deliver): void => void unsendable.push(msgId);
    outbox = new Outbox({ window: 2, answerTimeoutMs: T, attempts: 3, maxWaiting: 5, onUnsendable });
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  /** A connection, and the numbers of what was sent on it. */
  function connect(): { line: Line; sent: bigint[] } {
    const sent: bigint[] = [];
    const line = outbox.attach(({ msgId }) => sent.push(msgId));
    return { line, sent };
  }

  function add(...msgIds: bigint[]): void {
    for (const msgId of msgIds) outbox.add(emptyDeliver(msgId));
  }

  it('wait for a connection, and then for its window', () => {
    add(1n, 2n, 3n);
    expect(outbox.stats).toMatchObject({ connections: 0, waiting: 3 });
    const { line, sent } = connect();
    expect(sent).toEqual([1n, 2n]);

    outbox.answered(line, { msgId: 2n, result: 0 });
    expect(sent).toEqual([1n, 2n, 3n]);
    outbox.answered(line, { msgId: 3n, result: 9 });
    outbox.answered(line, { msgId: 77n, result: 0 });
    expect(outbox.stats).toEqual({
      connections: 1,
      waiting: 0,
      unanswered: 1,
      mostUnanswered: 2,
      delivered: 1,
      failed: 1,
    });
  });

  it('spread over the connections, the emptiest first', () => {
    const [a, b] = [connect(), connect()];
    add(1n, 2n, 3n, 4n, 5n);
    expect([a.sent, b.sent]).toEqual([
      [1n, 3n],
      [2n, 4n],
    ]);
    expect(outbox.stats).toMatchObject({ waiting: 1, unanswered: 4 });
  });

  it('go again after T, and are given up after N times, which makes room', () => {
    const { sent } = connect();
    add(1n, 2n, 3n);
    jest.advanceTimersByTime(T - 1);
    expect(sent).toEqual([1n, 2n]);
    jest.advanceTimersByTime(1);
    expect(sent).toEqual([1n, 2n, 1n, 2n]);
    jest.advanceTimersByTime(T);
    expect(sent).toHaveLength(6);
    jest.advanceTimersByTime(T);
    expect(sent).toEqual([1n, 2n, 1n, 2n, 1n, 2n, 3n]);
    expect(outbox.stats).toMatchObject({ failed: 2, unanswered: 1, waiting: 0 });
  });

  it('go to another connection, and first, when theirs is lost', () => {
    const a = connect();
    add(1n, 2n, 3n);
    outbox.detach(a.line);
    outbox.detach(a.line);
    expect(outbox.stats).toMatchObject({ connections: 0, waiting: 3, unanswered: 0 });
    expect(jest.getTimerCount()).toBe(0);
    expect(connect().sent).toEqual([1n, 2n]);
  });

  it('wait when a connection turns out to be lost as they are sent', () => {
    outbox.attach(() => {
      throw new PooledTcpError('PTCP_CONNECTION_LOST', 'gone');
    });
    add(1n);
    expect(outbox.stats).toMatchObject({ connections: 0, waiting: 1, unanswered: 0 });
    expect(connect().sent).toEqual([1n]);
  });

  it('are told of when they cannot be sent, and hold nothing up', () => {
    const sent: bigint[] = [];
    outbox.attach(({ msgId }) => {
      if (msgId < 3n) throw new PooledTcpError('PTCP_PAYLOAD_UNSERIALIZABLE', 'too long');
      sent.push(msgId);
    });
    add(1n, 2n, 3n);
    expect({ unsendable, sent }).toEqual({ unsendable: [1n, 2n], sent: [3n] });
    expect(outbox.stats).toMatchObject({ connections: 1, failed: 2, unanswered: 1 });
    expect(jest.getTimerCount()).toBe(1);
  });

  it('are dropped, and counted, when too many wait', () => {
    add(1n, 2n, 3n, 4n, 5n, 6n);
    expect(outbox.stats).toMatchObject({ waiting: 5, failed: 1 });
  });
});
