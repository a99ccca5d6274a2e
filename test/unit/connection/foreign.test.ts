import { describe, expect, it } from '@jest/globals';
import { Call } from '../../../lib/connection/call.js';
import { ClientConnection } from '../../../lib/connection/client-connection.js';
import type { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import type { MessageCodec } from '../../../lib/index.js';
import { bankCodec, bankFraming } from '../../support/foreign/bank.js';
import { gatewayCodec, gatewayFraming } from '../../support/foreign/gateway.js';
import { RecordingLogger } from '../../support/logs.js';
import { MemoryTransport } from '../../support/memory-transport.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { SessionPeer } from './session-peer.js';

class RecordingCall extends Call {
  readonly heard: unknown[] = [];
  error: PooledTcpError | undefined;
  onResponse(data: unknown): void {
    this.heard.push(data);
  }
  onItem(): void {
    this.heard.push('item');
  }
  onCredit(): void {
    this.heard.push('credit');
  }
  onEnd(): void {
    this.heard.push('end');
  }
  onFailure(error: PooledTcpError): void {
    this.error = error;
  }
  onHandlerFailure(error: unknown): void {
    this.heard.push(['error', error]);
  }
}

const HEARTBEAT = { intervalMs: 1_000, timeoutMs: 400, attempts: 3 };
const BANK = { framing: bankFraming, codec: bankCodec };
const message = (pattern: string, data: unknown) => ({ pattern, route: pattern, data, metadata: undefined });

async function open(
  transport: MemoryTransport,
  clock: StepClock,
  options: { framing: typeof bankFraming; codec: MessageCodec; heartbeat?: false },
) {
  const closings: string[] = [];
  const goaways: string[] = [];
  const opening = ClientConnection.open(
    transport,
    {
      clock,
      logger: new RecordingLogger(),
      heartbeat: HEARTBEAT,
      maxPendingWriteBytes: 1_000_000,
      maxFrameBytes: 1_000_000,
      streamWindowBytes: 65_536,
      protocol: 'foreign',
      serializer: undefined,
      deserializer: undefined,
      ...options,
    },
    {
      closed: ({ code }) => closings.push(code),
      goaway: (notice) => goaways.push(notice.message),
      push: () => undefined,
    },
    new AbortController().signal,
  );
  await settled();
  return { connection: await opening, closings, goaways };
}

describe('the heartbeat of a foreign protocol', () => {
  it('is the codec’s: both ends ask and answer, and it makes no connection busy', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { ...BANK, heartbeat: HEARTBEAT });
    const [transport, server] = peer.accept();
    const { connection, closings } = await open(transport, clock, BANK);
    await clock.run(5_000, 100);

    expect(String(Buffer.concat(transport.writes))).toContain('00040800');
    expect(String(Buffer.concat(server.writes))).toContain('00040810');
    expect(connection.roundTripMs).toBe(0);
    expect(connection.inFlight).toBe(0);
    expect(closings).toEqual([]);
    connection.close();
  });

  it('gives a peer up that does not answer, after as many attempts as the option says', async () => {
    const clock = new StepClock();
    const [transport] = MemoryTransport.pair();
    const codec = gatewayCodec({ correlation: 'id' });
    const { closings } = await open(transport, clock, { framing: gatewayFraming, codec });
    await clock.run(1_000 + 3 * 400 - 1, 100);
    expect([transport.writes.length, closings]).toEqual([3, []]);
    await clock.run(1);

    expect(closings).toEqual(['PTCP_HEARTBEAT_TIMEOUT']);
  });

  it('gives a serial peer up as well, asked once, and not while a call is in flight', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { ...BANK, heartbeat: false });
    const [transport] = peer.accept();
    const { connection, closings } = await open(transport, clock, BANK);
    const call = new RecordingCall();
    connection.request(call, message('0200', 'slow'), 0);
    await clock.run(20_000, 100);
    expect([closings, transport.writes.length]).toEqual([[], 1]);
    peer.lastCall.respond('done');
    await settled();
    expect(call.heard).toEqual(['done']);
    connection.close();

    const [mute] = MemoryTransport.pair();
    const lonely = await open(mute, clock, BANK);
    await clock.run(1_000 + 3 * 400, 100);
    expect(lonely.closings).toEqual(['PTCP_HEARTBEAT_TIMEOUT']);
    expect(mute.writes).toHaveLength(1);
  });

  it('is not missed where there is none: an open connection is all there is to ask', async () => {
    const clock = new StepClock();
    const [transport] = MemoryTransport.pair();
    const { heartbeat: _, ...codec } = bankCodec;
    const { connection, closings } = await open(transport, clock, { framing: bankFraming, codec });
    await connection.probe();
    await clock.run(100_000, 10_000);

    expect([transport.writes.length, closings]).toEqual([0, []]);
    connection.close();
  });
});

describe('a serial connection', () => {
  it('takes no new call once one was cancelled, and a held one goes elsewhere unsent', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { ...BANK, heartbeat: false });
    const [transport] = peer.accept();
    const { connection, goaways } = await open(transport, clock, BANK);
    const [first, second] = [new RecordingCall(), new RecordingCall()];
    connection.request(first, message('0200', 'a'), 0);
    connection.request(second, message('0200', 'b'), 0);
    await settled();
    connection.cancel(first);
    peer.lastCall.respond('late');
    await settled();

    expect(peer.calls).toHaveLength(1);
    expect(second.error).toMatchObject({ code: 'PTCP_CONNECTION_LOST', sent: false });
    expect([first.heard, second.heard, goaways.length]).toEqual([[], [], 1]);
    expect(() => {
      connection.request(new RecordingCall(), message('0200', 'c'), 0);
    }).toThrow(expect.objectContaining({ code: 'PTCP_CONNECTION_LOST', sent: false }));
    connection.close();
  });
});

describe('the logout of a foreign protocol', () => {
  const codec = gatewayCodec({
    onClose: async (connection) => {
      await connection.request('TERMINATE');
    },
  });

  it('is said before the connection is closed, and its answer awaited', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { framing: gatewayFraming, codec, heartbeat: false });
    const [transport] = peer.accept();
    const { connection, closings } = await open(transport, clock, { framing: gatewayFraming, codec });
    connection.close();
    connection.close();
    await settled();
    expect([peer.lastCall.pattern, closings]).toEqual(['TERMINATE', []]);
    peer.lastCall.respond(null);
    await settled();
    await connection.goodbye;

    expect(closings).toEqual(['PTCP_POOL_CLOSED']);
  });

  it('has a few seconds', async () => {
    const clock = new StepClock();
    const [transport] = MemoryTransport.pair();
    const { connection, closings } = await open(transport, clock, { framing: gatewayFraming, codec, heartbeat: false });
    connection.close();
    await clock.run(4_999);
    expect(closings).toEqual([]);
    await clock.run(1);

    expect(closings).toEqual(['PTCP_POOL_CLOSED']);
    await connection.goodbye;
  });
});
