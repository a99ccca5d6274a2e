import { describe, expect, it } from '@jest/globals';
import { Connection, type ConnectionState } from '../../../lib/connection/connection.js';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { MemoryTransport } from '../../support/memory-transport.js';
import { settled, StepClock } from '../../support/step-clock.js';

const REASON = new PooledTcpError('PTCP_POOL_CLOSED', 'enough');

class Owner {
  readonly received: string[] = [];
  readonly closings: PooledTcpError[] = [];
  readonly pings: number[] = [];
  throws: Error | undefined;
  throwsAtEnd: Error | undefined;

  receive(chunk: Buffer): void {
    this.received.push(chunk.toString());
    if (this.throws !== undefined) throw this.throws;
  }

  ended(): void {
    if (this.throwsAtEnd !== undefined) throw this.throwsAtEnd;
  }

  sendPing(token: number): void {
    this.pings.push(token);
  }

  closed(reason: PooledTcpError): void {
    this.closings.push(reason);
  }
}

function setUp({ maxPendingWriteBytes = 1_024 } = {}) {
  const clock = new StepClock();
  const owner = new Owner();
  const [transport, peer] = MemoryTransport.pair();
  const heartbeat = { intervalMs: 1_000, timeoutMs: 400, attempts: 1 };
  const connection = new Connection({ transport, clock, heartbeat, maxPendingWriteBytes }, owner);
  connection.start();
  const say = (text: string): void => {
    connection.output.append(Buffer.from(text));
    connection.schedule();
  };
  return { clock, owner, transport, peer, connection, say };
}

/** Ways into each state. */
const into: Record<ConnectionState, (connection: Connection) => void> = {
  opening: () => undefined,
  ready: (connection) => connection.ready(true),
  draining: (connection) => {
    connection.ready(true);
    connection.drain();
  },
  ending: (connection) => {
    connection.end();
  },
  closed: (connection) => {
    connection.destroy(REASON);
  },
};
const moves: Partial<Record<ConnectionState, (connection: Connection) => unknown>> = {
  ready: (connection) => connection.ready(true),
  draining: (connection) => connection.drain(),
  ending: into.ending,
  closed: into.closed,
};
const allowed: Record<ConnectionState, ConnectionState[]> = {
  opening: ['ready', 'ending', 'closed'],
  ready: ['draining', 'ending', 'closed'],
  draining: ['ending', 'closed'],
  ending: ['closed'],
  closed: [],
};

describe('the states of a connection', () => {
  for (const from of Object.keys(allowed) as ConnectionState[]) {
    for (const to of Object.keys(moves) as ConnectionState[]) {
      if (from === to) continue;
      const isAllowed = allowed[from].includes(to);
      it(`${from} ${isAllowed ? 'becomes' : 'never becomes'} ${to}`, () => {
        const { connection } = setUp();
        into[from](connection);
        expect(connection.state).toBe(from);
        moves[to]?.(connection);
        expect(connection.state).toBe(isAllowed ? to : from);
      });
    }
  }

  it('is told to the owner once, whatever happens after', async () => {
    const { connection, owner, transport, peer } = setUp();
    connection.destroy(REASON);
    connection.destroy(new PooledTcpError('PTCP_ABORTED', 'again'));
    transport.fail(new Error('late'));
    transport.deliver(Buffer.from('late'));
    peer.end();
    await settled();
    expect(owner.closings).toEqual([REASON]);
    expect(owner.received).toEqual([]);
    expect(transport.isDestroyed).toBe(true);
  });
});

describe('writing', () => {
  it('sends what was said within a tick with one system call', async () => {
    const { transport, say } = setUp();
    say('a');
    say('b');
    expect(transport.writes).toHaveLength(0);
    await settled();
    say('c');
    await settled();
    expect(transport.writes.map(String)).toEqual(['ab', 'c']);
  });

  it('keeps bytes apart that wait in the kernel and bytes said later', async () => {
    const { transport, peer, say } = setUp();
    const heard: string[] = [];
    peer.start({
      data: (chunk) => heard.push(chunk.toString()),
      drain: () => undefined,
      end: () => undefined,
      close: () => undefined,
    });
    transport.pause();
    say('first ');
    await settled();
    say('second');
    await settled();
    transport.resume();
    await settled();
    expect(heard.join('')).toBe('first second');
  });

  it('tells when bytes have been handed over, and which flush they left with', async () => {
    const { connection, say } = setUp();
    const flush = connection.nextFlush;
    const written: unknown[] = [];
    say('a');
    connection.whenWritten((error) => written.push(error));
    expect(connection.hasLeft(flush)).toBe(false);
    expect(written).toEqual([]);
    await settled();
    expect(connection.hasLeft(flush)).toBe(true);
    expect(connection.hasLeft(connection.nextFlush)).toBe(false);
    expect(written).toEqual([undefined]);
  });

  it('tells those who wait for a write that it will not happen', async () => {
    const { connection, transport, say } = setUp();
    const flush = connection.nextFlush;
    const written: unknown[] = [];
    say('a');
    connection.whenWritten((error) => written.push(error));
    connection.destroy(REASON);
    await settled();
    expect(written).toEqual([REASON]);
    expect(connection.hasLeft(flush)).toBe(false);
    expect(transport.writes).toHaveLength(0);
  });

  it('closes when the peer does not read and too much waits for it', async () => {
    const { connection, owner, transport, say } = setUp({ maxPendingWriteBytes: 10 });
    transport.pause();
    say('0123456789');
    await settled();
    expect(connection.state).toBe('opening');
    say('x');
    await settled();
    expect(connection.state).toBe('closed');
    expect(owner.closings).toMatchObject([{ code: 'PTCP_WRITE_OVERFLOW', sent: true, peer: 'server:4000' }]);
  });

  it('goes on reading while nothing can be written', async () => {
    const { owner, transport, peer, say } = setUp();
    transport.pause();
    say('stuck');
    await settled();
    for (const text of ['a', 'b', 'c']) {
      peer.write([Buffer.from(text)]);
      await settled();
    }
    expect(owner.received).toEqual(['a', 'b', 'c']);
    expect(transport.pendingBytes).toBe(5);
  });

  it('sends what waits, then ends; after that nothing more is written', async () => {
    const { connection, transport, say } = setUp();
    say('last words');
    connection.end();
    say('too late');
    await settled();
    connection.end();
    expect(transport.writes.map(String)).toEqual(['last words']);
    expect(transport.isEnding).toBe(true);
    expect(connection.pendingBytes).toBe(0);
  });

  it('still reads after it has ended, until the peer ends too', async () => {
    const { connection, owner, peer } = setUp();
    connection.end();
    peer.write([Buffer.from('answer')]);
    await settled();
    expect(owner.received).toEqual(['answer']);
    peer.end();
    await settled();
    expect(connection.state).toBe('closed');
  });
});

describe('closing', () => {
  it('names the peer and the reason of a reset', async () => {
    const { owner, transport } = setUp();
    const reset = new Error('read ECONNRESET');
    transport.fail(reset);
    await settled();
    expect(owner.closings).toMatchObject([
      { code: 'PTCP_CONNECTION_LOST', message: 'server:4000 connection failed: read ECONNRESET', cause: reset },
    ]);
  });

  it('follows the peer that ends', async () => {
    const { owner, transport, peer } = setUp();
    peer.end();
    await settled();
    expect(owner.closings).toMatchObject([{ code: 'PTCP_CONNECTION_LOST' }]);
    expect(transport.isDestroyed).toBe(true);
  });

  it('reports a frame that the end cut short', async () => {
    const { owner, peer } = setUp();
    owner.throwsAtEnd = new PooledTcpError('PTCP_FRAME_MALFORMED', 'cut short');
    peer.end();
    await settled();
    expect(owner.closings).toMatchObject([{ code: 'PTCP_FRAME_MALFORMED', message: 'server:4000: cut short' }]);
  });

  it('follows what the owner throws, ours as it is and others as a violation', async () => {
    for (const [thrown, code] of [
      [new PooledTcpError('PTCP_FRAME_TOO_LARGE', 'too large'), 'PTCP_FRAME_TOO_LARGE'],
      [new TypeError('a defect'), 'PTCP_PROTOCOL_VIOLATION'],
    ] as const) {
      const { owner, peer } = setUp();
      owner.throws = thrown;
      peer.write([Buffer.from('x')]);
      await settled();
      expect(owner.closings).toMatchObject([{ code, peer: 'server:4000' }]);
    }
  });

  it('stops the heartbeat', async () => {
    const { clock, connection, owner } = setUp();
    connection.ready(true);
    expect(clock.pending).toBe(1);
    connection.destroy(REASON);
    expect(clock.pending).toBe(0);
    await clock.run(10_000);
    expect(owner.pings).toHaveLength(0);
  });

  it('comes from the heartbeat when the peer is silent', async () => {
    const { clock, connection, owner } = setUp();
    connection.ready(true);
    await clock.run(1_400);
    expect(owner.pings).toHaveLength(1);
    expect(owner.closings).toMatchObject([{ code: 'PTCP_HEARTBEAT_TIMEOUT', elapsedMs: 1_400 }]);
    expect(clock.pending).toBe(0);
  });

  it('never comes from the heartbeat where the peer answers none', async () => {
    const { clock, connection, owner } = setUp();
    connection.ready(false);
    await clock.run(100_000);
    expect(connection.state).toBe('ready');
    expect(owner.pings).toHaveLength(0);
  });
});
