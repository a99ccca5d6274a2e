import { describe, expect, it } from '@jest/globals';
import { Call } from '../../../lib/connection/call.js';
import {
  ClientConnection,
  type ClientConnectionEvents,
  type ClientConnectionOptions,
} from '../../../lib/connection/client-connection.js';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { Output } from '../../../lib/framing/output.js';
import { encodeNestFrame } from '../../../lib/protocol/nest-json.js';
import { RecordingLogger } from '../../support/logs.js';
import { MemoryTransport } from '../../support/memory-transport.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { SessionPeer } from './session-peer.js';

/** Notes what a call hears. */
class RecordingCall extends Call {
  readonly heard: unknown[] = [];
  error: PooledTcpError | undefined;

  onResponse(data: unknown): void {
    this.heard.push(['response', data]);
  }
  onItem(data: unknown): void {
    this.heard.push(['item', data]);
  }
  onCredit(): void {
    this.heard.push('credit');
  }
  onEnd(): void {
    this.heard.push('end');
  }
  onFailure(error: PooledTcpError): void {
    this.heard.push('failure');
    this.error = error;
  }
  onHandlerFailure(error: unknown): void {
    this.heard.push(['handler failure', error]);
  }
}

class Events implements ClientConnectionEvents {
  readonly closings: PooledTcpError[] = [];
  readonly goaways: string[] = [];
  readonly pushes: unknown[] = [];

  closed(reason: PooledTcpError): void {
    this.closings.push(reason);
  }
  goaway({ message }: { message: string }): void {
    this.goaways.push(message);
  }
  push(route: string, data: unknown): void {
    this.pushes.push([route, data]);
  }
}

const message = (pattern: string, data?: unknown) => ({ pattern, route: pattern, data, metadata: undefined });
const nestFrame = (packet: unknown): Buffer => {
  const output = new Output();
  encodeNestFrame(output, JSON.stringify(packet));
  return Buffer.concat(output.take());
};

function start(
  transport: MemoryTransport,
  clock: StepClock,
  options: Partial<ClientConnectionOptions> = {},
  abort = new AbortController(),
) {
  const events = new Events();
  const logger = new RecordingLogger();
  const opening = ClientConnection.open(
    transport,
    {
      clock,
      logger,
      heartbeat: { intervalMs: 1_000, timeoutMs: 400, attempts: 1 },
      maxPendingWriteBytes: 1_000_000,
      maxFrameBytes: 1_000_000,
      streamWindowBytes: 1_000,
      protocol: 'auto',
      serializer: undefined,
      deserializer: undefined,
      ...options,
    },
    events,
    abort.signal,
  );
  return { opening, abort, events, logger };
}

/** A connection to a server of ours. */
async function connect({
  client = {},
  server = {},
}: { client?: Partial<ClientConnectionOptions>; server?: ConstructorParameters<typeof SessionPeer>[1] } = {}) {
  const clock = new StepClock();
  const peer = new SessionPeer(clock, server);
  const [transport, serverEnd] = peer.accept();
  const { opening, events, logger } = start(transport, clock, client);
  const connection = await opening;
  const call = (pattern: string, data?: unknown): RecordingCall => {
    const recording = new RecordingCall();
    connection.request(recording, message(pattern, data), 1_000);
    return recording;
  };
  return { clock, peer, transport, serverEnd, connection, events, logger, call };
}

/** A connection to a server that answers what the test says. */
function connectByHand(options: Partial<ClientConnectionOptions> = {}) {
  const clock = new StepClock();
  const [transport, serverEnd] = MemoryTransport.pair();
  return { clock, transport, serverEnd, ...start(transport, clock, options) };
}

describe('the hello', () => {
  it('agrees with our server on the native protocol and learns its limits', async () => {
    const { connection } = await connect({ server: { idleTimeoutMs: 5_000 } });
    expect(connection.protocol).toBe('native');
    expect(connection.state).toBe('ready');
    expect(connection.serverIdleTimeoutMs).toBe(5_000);
  });

  it('falls back to the stock wire with a stock server', async () => {
    const { connection, peer, call } = await connect({ server: { protocol: { protocol: 'nest-json' } } });
    expect(connection.protocol).toBe('nest-json');
    const sum = call('sum', [1, 2]);
    await settled();
    peer.lastCall.respond(3);
    await settled();
    expect(sum.heard).toEqual([['response', 3]]);
  });

  it('refuses a stock server when the options ask for native()', async () => {
    const clock = new StepClock();
    const [transport] = new SessionPeer(clock, { protocol: { protocol: 'nest-json' } }).accept();
    const { events, opening } = start(transport, clock, { protocol: 'native' });
    await expect(opening).rejects.toMatchObject({ code: 'PTCP_PROTOCOL_MISMATCH', peer: 'server:4000', sent: false });
    expect(events.closings).toHaveLength(1);
    expect(transport.isDestroyed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('rejects with the code a server refuses with', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock);
    peer.refusal = new PooledTcpError('PTCP_SERVER_OVERLOADED', 'full');
    const { opening } = start(peer.accept()[0], clock);
    await expect(opening).rejects.toMatchObject({
      code: 'PTCP_SERVER_OVERLOADED',
      message: expect.stringContaining('full'),
    });
  });

  it('rejects when the peer closes instead of answering', async () => {
    const { opening, serverEnd, clock } = connectByHand();
    serverEnd.destroy();
    await expect(opening).rejects.toMatchObject({
      code: 'PTCP_HANDSHAKE_FAILED',
      message: expect.stringContaining('server:4000 accepted the connection and closed it'),
    });
    expect(clock.pending).toBe(0);
  });

  it('rejects what is no answer, and closes', async () => {
    for (const nonsense of [
      'HTTP/1.1 400 Bad Request\r\n\r\n',
      '3#{"a',
      '7#nothing',
      '999999999999#',
      '2#{}',
      '4#null',
    ]) {
      const { opening, serverEnd, transport } = connectByHand();
      serverEnd.write([Buffer.from(nonsense)]);
      serverEnd.end();
      await expect(opening).rejects.toMatchObject({ code: 'PTCP_HANDSHAKE_FAILED' });
      expect(transport.isDestroyed).toBe(true);
    }
  });

  it('takes an answer that comes byte by byte, with the first messages behind it', async () => {
    const { opening, serverEnd, events } = connectByHand();
    const pong = Buffer.from([0, 0, 0, 6, 9, 0, 0, 0, 0, 1]);
    const welcome = { version: 1, maxFrameBytes: 1_024, idleTimeoutMs: 0, maxPatterns: 10 };
    const goaway = Buffer.from('{"message":"bye"}');
    const head = Buffer.from([0, 0, 0, 2 + goaway.length, 10, 1]);
    const bytes = Buffer.concat([nestFrame({ id: 'pooled-tcp:hello', response: welcome, isDisposed: true }), pong]);
    for (const byte of bytes) serverEnd.write([Buffer.from([byte])]);
    const connection = await opening;
    for (const byte of Buffer.concat([head, goaway])) serverEnd.write([Buffer.from([byte])]);
    await settled();
    expect(connection.state).toBe('draining');
    expect(events.goaways).toEqual(['bye']);
  });

  it('is given up when the signal fires, and destroys the transport', async () => {
    const { opening, abort, transport, clock } = connectByHand();
    await settled();
    abort.abort(new Error('too late'));
    await expect(opening).rejects.toMatchObject({ code: 'PTCP_HANDSHAKE_FAILED', cause: new Error('too late') });
    expect(transport.isDestroyed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('does not begin when the signal has fired', async () => {
    const abort = new AbortController();
    abort.abort(new Error('before'));
    const [transport] = MemoryTransport.pair();
    const { opening } = start(transport, new StepClock(), {}, abort);
    await expect(opening).rejects.toMatchObject({ code: 'PTCP_HANDSHAKE_FAILED' });
    expect(transport.isDestroyed).toBe(true);
  });

  it('is left out for nestJson(): a first heartbeat shows that the peer answers', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { protocol: { protocol: 'nest-json' } });
    const [transport] = peer.accept();
    const { opening } = start(transport, clock, { protocol: 'nest-json' });
    const connection = await opening;
    expect(connection.protocol).toBe('nest-json');
    expect(Buffer.concat(transport.writes).toString()).not.toContain('hello');
    expect(peer.calls).toHaveLength(0);
  });

  it('is open at once for nestJson() without heartbeats', async () => {
    const { opening, transport } = connectByHand({ protocol: 'nest-json', heartbeat: false });
    expect((await opening).state).toBe('ready');
    await settled();
    expect(transport.writes).toHaveLength(0);
  });
});

for (const protocol of ['native', 'nest-json'] as const) {
  describe(`calls on ${protocol}`, () => {
    const open = () => connect({ server: { protocol: protocol === 'native' ? 'auto' : { protocol } } });

    it('reach the one who asked, in whatever order the answers come', async () => {
      const { peer, call, connection } = await open();
      const calls = [call('a'), call('b'), call('c')];
      await settled();
      for (const serverCall of [...peer.calls].reverse()) serverCall.respond(String(serverCall.pattern));
      await settled();
      expect(calls.map(({ heard }) => heard)).toEqual([[['response', 'a']], [['response', 'b']], [['response', 'c']]]);
      expect(connection.inFlight).toBe(0);
    });

    it('hear items and the end of a stream', async () => {
      const { peer, call, connection } = await open();
      const stream = call('count');
      await settled();
      peer.lastCall.item(1);
      peer.lastCall.item(2);
      peer.lastCall.complete();
      await settled();
      expect(stream.heard).toEqual([['item', 1], ['item', 2], 'end']);
      expect(connection.inFlight).toBe(0);
    });

    it('end without a value when the handler has none', async () => {
      const { peer, call } = await open();
      const empty = call('nothing');
      await settled();
      peer.lastCall.complete();
      await settled();
      expect(empty.heard).toEqual(['end']);
    });

    it('get the handler’s error as it was answered', async () => {
      const { peer, call } = await open();
      const failing = call('boom');
      await settled();
      peer.lastCall.fail({ status: 'error', message: 'boom' });
      await settled();
      expect(failing.heard).toEqual([['handler failure', { status: 'error', message: 'boom' }]]);
    });

    it('know that a refusal reached no handler', async () => {
      const { peer, call } = await open();
      const [missing, shed] = [call('missing'), call('shed')];
      await settled();
      peer.calls[0]?.refuse('no-handler', 'nobody');
      peer.calls[1]?.refuse('overloaded', 'full');
      await settled();
      expect(missing.error).toMatchObject({ code: 'PTCP_NO_HANDLER', sent: false, peer: 'server:4000' });
      expect(shed.error).toMatchObject({ code: 'PTCP_SERVER_OVERLOADED', sent: false });
    });

    it('do not hear an answer that comes after a cancel', async () => {
      const { peer, call, connection } = await open();
      const [cancelled, other] = [call('a'), call('b')];
      await settled();
      const [first, second] = peer.calls;
      connection.cancel(cancelled);
      connection.cancel(cancelled);
      first?.respond('late');
      second?.respond('b');
      await settled();
      expect(cancelled.heard).toEqual([]);
      expect(other.heard).toEqual([['response', 'b']]);
      expect(connection.inFlight).toBe(0);
    });

    it('fail one by one when the connection is lost, each knowing whether it had left', async () => {
      const { call, connection, transport, events } = await open();
      const left = call('left');
      await settled();
      const stayed = call('stayed');
      transport.fail(new Error('ECONNRESET'));
      connection.destroy(new PooledTcpError('PTCP_CONNECTION_LOST', 'reset'));
      await settled();
      expect(left.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: true, peer: 'server:4000' });
      expect(stayed.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: false });
      expect([left.heard, stayed.heard]).toEqual([['failure'], ['failure']]);
      expect(events.closings).toHaveLength(1);
      expect(connection.inFlight).toBe(0);
    });

    it('are refused unsent, and not kept, when they cannot be written', async () => {
      const { connection, call } = await open();
      expect(() => call('big', 'x'.repeat(20_000_000))).toThrow(
        expect.objectContaining({ code: 'PTCP_FRAME_TOO_LARGE', sent: false }),
      );
      expect(() => call('cyclic', 1n)).toThrow(
        expect.objectContaining({ code: 'PTCP_PAYLOAD_UNSERIALIZABLE', sent: false }),
      );
      expect(connection.inFlight).toBe(0);
    });

    it('answer heartbeats, so that a silent connection stays', async () => {
      const { clock, connection } = await open();
      await clock.run(10_000, 100);
      expect(connection.state).toBe('ready');
      expect(connection.roundTripMs).toBe(0);
    });

    it('fail with a heartbeat timeout when the peer is frozen', async () => {
      const { clock, call, serverEnd, connection } = await open();
      const stuck = call('stuck');
      await settled();
      serverEnd.pause();
      await clock.run(1_400, 100);
      expect(stuck.error).toMatchObject({ code: 'PTCP_HEARTBEAT_TIMEOUT', sent: true });
      expect(connection.state).toBe('closed');
      expect(clock.pending).toBe(0);
    });
  });
}

describe('an unreadable reply', () => {
  const unreadable = (id: number): Buffer => Buffer.from([0, 0, 0, 9, 3, 1, 0, 0, 0, id, 0x7b, 0x22, 0x61]);

  it('fails its own call only, which may have reached a handler', async () => {
    const { call, serverEnd, peer, connection } = await connect();
    const [bad, good] = [call('bad'), call('good')];
    await settled();
    serverEnd.write([unreadable(bad.id)]);
    peer.calls[1]?.respond('good');
    await settled();
    expect(bad.error).toMatchObject({ code: 'PTCP_PAYLOAD_MALFORMED', sent: true, peer: 'server:4000' });
    expect(good.heard).toEqual([['response', 'good']]);
    expect(connection.state).toBe('ready');
  });

  it('is dropped with a warning on the stock wire, where it names no call', async () => {
    const { call, serverEnd, peer, logger } = await connect({ server: { protocol: { protocol: 'nest-json' } } });
    const good = call('good');
    await settled();
    serverEnd.write([Buffer.from('3#{"a')]);
    peer.lastCall.respond('good');
    await settled();
    expect(good.heard).toEqual([['response', 'good']]);
    expect(logger.at('warn')).toEqual([expect.stringContaining('dropped a message from server:4000')]);
  });
});

describe('cancelling', () => {
  it('tells a native server', async () => {
    const { call, connection, peer } = await connect();
    const cancelled = call('slow');
    await settled();
    const { signal } = peer.lastCall;
    connection.cancel(cancelled);
    await settled();
    expect(signal.aborted).toBe(true);
    expect(peer.inFlight).toBe(0);
  });
});

describe('what the server says by itself', () => {
  it('is handed on as a push', async () => {
    const { peer, events } = await connect();
    peer.sessions[0]?.push('quote', { price: 1 });
    await settled();
    expect(events.pushes).toEqual([['quote', { price: 1 }]]);
  });

  it('makes the connection drain on goaway: calls in flight finish, new ones are refused unsent', async () => {
    const { peer, call, connection, events } = await connect();
    const running = call('running');
    await settled();
    peer.sessions[0]?.drain();
    await settled();
    expect(connection.state).toBe('draining');
    expect(events.goaways).toEqual(['the server is shutting down']);
    expect(() => call('late')).toThrow(expect.objectContaining({ code: 'PTCP_CONNECTION_LOST', sent: false }));
    peer.lastCall.respond('done');
    await settled();
    expect(running.heard).toEqual([['response', 'done']]);
  });
});

describe('events', () => {
  it('resolve once they have been handed to the kernel', async () => {
    const { connection, peer, transport } = await connect();
    const before = transport.writes.length;
    await connection.emit(message('created', 1));
    expect(transport.writes).toHaveLength(before + 1);
    await settled();
    expect(peer.events).toEqual([{ pattern: 'created', data: 1 }]);
  });

  it('reject when nothing was written', async () => {
    const { connection } = await connect();
    const emitted = connection.emit(message('created', 1));
    connection.destroy(new PooledTcpError('PTCP_CONNECTION_LOST', 'reset'));
    await expect(emitted).rejects.toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: false });
    await expect(connection.emit(message('created', 2))).rejects.toMatchObject({ code: 'PTCP_CONNECTION_LOST' });
  });
});

describe('closing from this side', () => {
  it('happens at once when nothing waits to be sent, and leaves no timer', async () => {
    const { clock, connection, transport, events } = await connect();
    connection.close();
    expect(connection.state).toBe('closed');
    expect(transport.isDestroyed).toBe(true);
    expect(events.closings).toMatchObject([{ code: 'PTCP_POOL_CLOSED' }]);
    expect(clock.pending).toBe(0);
  });

  it('first sends what the kernel has not taken yet', async () => {
    const { clock, connection, transport, peer } = await connect();
    transport.pause();
    await connection.emit(message('created', 'x'.repeat(100_000)));
    connection.close();
    await settled();
    expect(transport.isDestroyed).toBe(false);
    transport.resume();
    await settled();
    expect(peer.events).toHaveLength(1);
    expect(connection.state).toBe('closed');
    expect(clock.pending).toBe(0);
  });

  it('does not wait for ever for a peer that does not read', async () => {
    const { clock, connection, transport } = await connect({ client: { heartbeat: false } });
    transport.pause();
    void connection.emit(message('created', 'x'.repeat(100_000)));
    await settled();
    connection.close();
    await clock.run(60_000);
    expect(transport.isDestroyed).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

describe('probing', () => {
  it('resolves with the peer’s answer and is refused on a closed connection', async () => {
    const { connection } = await connect();
    await connection.probe();
    connection.destroy(new PooledTcpError('PTCP_POOL_CLOSED', 'enough'));
    await expect(connection.probe()).rejects.toMatchObject({ code: 'PTCP_CONNECTION_LOST' });
  });
});
