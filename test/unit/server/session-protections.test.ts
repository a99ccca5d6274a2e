import { describe, expect, it } from '@jest/globals';
import { Client } from '../../../lib/client/client.js';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { PromiseReply } from '../../../lib/nest/promise-reply.js';
import type { PooledTcpServerOptions } from '../../../lib/server/settings.js';
import { RecordingLogger } from '../../support/logs.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { message } from '../client/client-setup.js';
import { SessionPeer } from '../connection/session-peer.js';
import { nestFrameOf, packetsIn } from '../protocol/harness.js';

const HEARTBEAT = { intervalMs: 100, timeoutMs: 50 };

/** A client of one connection, and the session at its other end. */
async function connected(server: PooledTcpServerOptions, options: Partial<PooledTcpClientOptions> = {}) {
  const clock = new StepClock();
  const peer = new SessionPeer(clock, server);
  const client = new Client(
    resolveClientOptions({ endpoints: ['10.0.0.1:4000'], pool: { min: 1, max: 1, idleTimeoutMs: 0 }, ...options }),
    { connected: () => undefined },
    { logger: new RecordingLogger(), clock, connector: ({ address }) => Promise.resolve(peer.accept(address)[0]) },
  );
  const connecting = client.connect();
  await clock.run(20, 1);
  await connecting;
  const request = (pattern: string, signal?: AbortSignal): Promise<unknown> => {
    const reply = new PromiseReply(pattern);
    client.call(message(pattern, 1), reply, { timeoutMs: 600_000, signal });
    return reply.promise;
  };
  return { clock, peer, client, request, first: peer.sessions[0] };
}

it('what cannot be handled for a defect of ours closes the connection, and the log has the stack', async () => {
  const { peer, client, request, clock } = await connected({});
  peer.onCall = () => {
    throw new TypeError('a defect');
  };
  const failed = request('echo').catch((error: unknown) => error);
  await clock.run(20, 1);
  await expect(failed).resolves.toMatchObject({ code: 'PTCP_CONNECTION_LOST' });
  expect(peer.logger.at('warn')).toEqual([expect.stringMatching(/could not be handled: TypeError: a defect\n +at /)]);
  client.destroy();
});

describe('a connection that carries no call', () => {
  it('is told to go after unusedTimeoutMs, however many heartbeats it answers', async () => {
    const { clock, peer, client, first } = await connected({ unusedTimeoutMs: 10_000 }, { heartbeat: HEARTBEAT });
    await clock.run(9_900, 50);
    expect(peer.sessions).toEqual([first]);
    await clock.run(500, 50);
    expect(peer.sessions).not.toContain(first);
    client.destroy();
    await settled();
  });

  it('stays while it carries calls', async () => {
    const { clock, peer, client, request, first } = await connected(
      { unusedTimeoutMs: 1_000 },
      { heartbeat: HEARTBEAT },
    );
    peer.onCall = (call) => {
      call.respond(1);
    };
    for (let i = 0; i < 10; i++) {
      const call = request('p');
      await clock.run(900, 50);
      await call;
    }
    expect(peer.sessions).toEqual([first]);
    client.destroy();
    await settled();
  });

  it('is destroyed when it was asked to go and did not within drainTimeoutMs', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { unusedTimeoutMs: 1_000, drainTimeoutMs: 500 });
    const [client, server] = peer.accept();
    const data = { versions: [1], maxFrameBytes: 8192 };
    client.write([nestFrameOf({ pattern: 'pooled-tcp:hello', id: 'h', data })]);
    await settled();
    await clock.run(1_001);
    expect(server.isDestroyed).toBe(false);
    await clock.run(500);
    expect([server.isDestroyed, peer.sessions.length, clock.pending]).toEqual([true, 0, 0]);
  });
});

describe('a call that the server sheds', () => {
  it('fails unsent, and the next is served once there is room', async () => {
    const { peer, client, request } = await connected({});
    peer.onCall = (call) => {
      call.respond('served');
    };
    peer.overload = 'the event loop is late';
    await expect(request('p')).rejects.toMatchObject({ code: 'PTCP_SERVER_OVERLOADED', sent: false });
    expect(peer.calls).toHaveLength(0);
    peer.overload = undefined;
    await expect(request('p')).resolves.toBe('served');
    client.destroy();
    await settled();
  });
});

describe('handlers whose calls were cancelled', () => {
  it('count against maxInFlightPerConnection until they end', async () => {
    const { peer, client, request } = await connected({ maxInFlightPerConnection: 3 });
    for (let i = 0; i < 3; i++) {
      const abort = new AbortController();
      const call = request('slow', abort.signal);
      await settled();
      abort.abort();
      await expect(call).rejects.toMatchObject({ code: 'PTCP_ABORTED' });
      await settled();
    }
    expect(peer.inFlight).toBe(0);
    await expect(request('slow')).rejects.toMatchObject({ code: 'PTCP_SERVER_OVERLOADED', sent: false });
    peer.calls[0]?.respond('too late for anybody');
    const served = request('slow');
    await settled();
    peer.lastCall.respond('served');
    await expect(served).resolves.toBe('served');
    client.destroy();
    await settled();
  });

  it('do not count where the cancel stops them', async () => {
    const { peer, client, request } = await connected({ maxInFlightPerConnection: 1 });
    // As an Observable does: somebody is there to stop it.
    peer.onCall = (call) => {
      call.onCancel(() => undefined);
    };
    for (let i = 0; i < 5; i++) {
      const abort = new AbortController();
      const call = request('stream', abort.signal);
      await settled();
      abort.abort();
      await expect(call).rejects.toMatchObject({ code: 'PTCP_ABORTED' });
      await settled();
    }
    expect(peer.calls).toHaveLength(5);
    client.destroy();
    await settled();
  });
});

describe('pings of a peer that does not read', () => {
  it('are answered with one pong once it reads', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, {});
    const [client, server] = peer.accept();
    const data = { versions: [1], maxFrameBytes: 8192 };
    client.write([nestFrameOf({ pattern: 'pooled-tcp:hello', id: 'h', data })]);
    await settled();
    server.pause();
    const before = server.bytesWritten;
    for (let i = 0; i < 100; i++) {
      // 1 000 pings in each, which would be 1 MB of pongs.
      client.write([Buffer.concat(Array.from({ length: 1_000 }, (_, k) => ping(i * 1_000 + k)))]);
      await settled();
    }
    server.resume();
    await settled();
    expect(server.bytesWritten - before).toBeLessThan(300 * 1024);
    const last = server.writes.at(-1)?.subarray(-10);
    expect(last).toEqual(Buffer.from([0, 0, 0, 6, 9, 0, ...ping(99_999).subarray(6)]));
    expect(server.isEnding).toBe(false);
    server.destroy();
    await settled();
  });
});

describe('warnings that a peer brings about', () => {
  it('are few, and say how many were left out', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, {});
    const [client] = peer.accept();
    client.write(Array.from({ length: 1_000 }, () => nestFrameOf('{')));
    await settled();
    expect(peer.logger.at('warn')).toHaveLength(10);
    clock.advance(10_000);
    client.write([nestFrameOf('{')]);
    await settled();
    expect(peer.logger.at('warn')).toHaveLength(11);
    expect(peer.logger.at('warn').at(-1)).toContain('and 990 more');
  });
});

describe('a server that authenticates', () => {
  const hello = (credentials?: unknown): Buffer =>
    nestFrameOf({ pattern: 'pooled-tcp:hello', id: 'h', data: { versions: [1], maxFrameBytes: 8192, credentials } });

  /** What a peer that sends these bytes gets. */
  async function answersTo(bytes: Buffer[], options: PooledTcpServerOptions) {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, options);
    const [client, server] = peer.accept();
    for (const chunk of bytes) {
      client.write([chunk]);
      await settled();
    }
    const answers = packetsIn(Buffer.concat(server.writes));
    return { answers, peer, server, clock };
  }

  it.each<[string, () => unknown]>([
    ['undefined', () => undefined],
    ['false', () => false],
    ['a promise of null', () => Promise.resolve(null)],
    ['true, which is no principal', () => true],
    ['an object without id', () => ({ name: 'a' })],
    ['an empty name', () => ''],
    [
      'an error',
      () => {
        throw new Error('the token s3cret is unknown');
      },
    ],
    ['a rejection', () => Promise.reject(new Error('the token s3cret is unknown'))],
  ])('refuses a client for which the hook gives %s, without saying why', async (_what, hook) => {
    const { answers, peer, server } = await answersTo([hello({ token: 's3cret' })], {
      authenticate: hook as () => false,
    });
    expect(answers).toEqual([
      {
        id: 'h',
        isDisposed: true,
        err: { status: 'error', code: 'PTCP_UNAUTHENTICATED', message: 'the server does not know who this client is' },
      },
    ]);
    expect([server.isEnding, peer.refusals]).toEqual([true, ['unauthenticated']]);
    expect(JSON.stringify(peer.logger.lines)).not.toContain('s3cret');
  });

  it('gives the principal to handlers', async () => {
    const { peer } = await answersTo([hello('alice')], { authenticate: (token) => ({ id: String(token), role: 'x' }) });
    expect(peer.sessions[0]?.principal).toEqual({ id: 'alice', role: 'x' });
  });

  it.each<[string, Buffer]>([
    ['a stock request', nestFrameOf({ pattern: 'sum', data: 1, id: '1' })],
    ['an event', nestFrameOf({ pattern: 'sum', data: 1 })],
    ['a heartbeat', nestFrameOf({ pattern: 'pooled-tcp:heartbeat', data: 1, id: '1' })],
    ['nonsense', nestFrameOf('{')],
    [
      'a hello of another version',
      nestFrameOf({ pattern: 'pooled-tcp:hello', id: 'h', data: { versions: [9], maxFrameBytes: 8192 } }),
    ],
  ])('refuses %s as a first frame, and no handler hears of it', async (_what, bytes) => {
    const { answers, peer, server, clock } = await answersTo(
      [bytes, nestFrameOf({ pattern: 'sum', data: 1, id: '2' })],
      {
        authenticate: () => 'anybody',
      },
    );
    expect(answers.at(-1)).toMatchObject({ err: { code: 'PTCP_UNAUTHENTICATED' } });
    expect([peer.calls, peer.events, server.isEnding]).toEqual([[], [], true]);
    expect(peer.refusals).toEqual(['unauthenticated']);
    await clock.run(1_001);
    expect(peer.sessions).toEqual([]);
  });

  it.each<[string, (bytes: Buffer) => Buffer[]]>([
    ['in the same chunk', (ping) => [Buffer.concat([hello('a'), ping])]],
    ['later', (ping) => [hello('a'), ping]],
  ])('closes a connection that says more before the hook has answered, %s', async (_when, bytesOf) => {
    const { answers, server, peer } = await answersTo(bytesOf(ping(1)), {
      authenticate: () => new Promise(() => undefined),
    });
    expect(answers).toMatchObject([{ err: { code: 'PTCP_PROTOCOL_VIOLATION' } }]);
    expect([server.isEnding, peer.calls]).toEqual([true, []]);
  });

  it('takes no first frame above 64 KiB', async () => {
    const { answers } = await answersTo([Buffer.from('65537#{')], { authenticate: () => 'a' });
    expect(answers).toMatchObject([{ err: { code: 'PTCP_FRAME_TOO_LARGE' } }]);
  });

  it('waits for the hook no longer than for a first frame, and a late answer does nothing', async () => {
    let answer: (principal: string) => void = () => undefined;
    const { peer, server, clock } = await answersTo([hello('a')], {
      firstFrameTimeoutMs: 5_000,
      authenticate: () => new Promise((resolve) => (answer = resolve)),
    });
    await clock.run(5_000);
    expect([server.isDestroyed, peer.sessions]).toEqual([true, []]);
    // Its place is somebody else's by now.
    const claimed: string[] = [];
    peer.claimPrincipal = (id) => void claimed.push(id);
    answer('a');
    await settled();
    expect([server.writes, claimed, clock.pending]).toEqual([[], [], 0]);
  });

  it('refuses a principal with too many connections', async () => {
    const clock = new StepClock();
    const peer = new SessionPeer(clock, { authenticate: () => 'alice' });
    peer.claimPrincipal = () => new PooledTcpError('PTCP_SERVER_OVERLOADED', 'the principal has 2 connections');
    const [client, server] = peer.accept();
    client.write([hello('a')]);
    await settled();
    expect(packetsIn(Buffer.concat(server.writes))).toMatchObject([{ err: { code: 'PTCP_SERVER_OVERLOADED' } }]);
    expect(peer.refusals).toEqual(['maxConnectionsPerPrincipal']);
  });
});

function ping(token: number): Buffer {
  const bytes = Buffer.from([0, 0, 0, 6, 8, 0, 0, 0, 0, 0]);
  bytes.writeUInt32BE(token, 6);
  return bytes;
}
