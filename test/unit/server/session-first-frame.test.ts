import { describe, expect, it } from '@jest/globals';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { HEARTBEAT_ID, HEARTBEAT_PATTERN } from '../../../lib/protocol/nest-json.js';
import { native } from '../../../lib/protocol/protocol.js';
import type { PooledTcpServerOptions } from '../../../lib/server/settings.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { SessionPeer } from '../connection/session-peer.js';
import { nestFrameOf, packetsIn } from '../protocol/harness.js';

const FIRST_FRAME_MS = 5_000;
const HEARTBEAT = nestFrameOf({ pattern: HEARTBEAT_PATTERN, data: 1, id: `${HEARTBEAT_ID}1` });
const never = { deserialize: () => new Promise<unknown>(() => undefined) };

/** Connects, sends bytes, then is silent for longer than the first frame may take. */
async function connect(bytes: Buffer, options: PooledTcpServerOptions = {}, refusal?: PooledTcpError) {
  const clock = new StepClock();
  const peer = new SessionPeer(clock, { firstFrameTimeoutMs: FIRST_FRAME_MS, ...options });
  peer.refusal = refusal;
  const [client, server] = peer.accept();
  client.write([bytes]);
  await settled();
  const answers = packetsIn(Buffer.concat(server.writes));
  const isRefused = server.isEnding;
  clock.advance(FIRST_FRAME_MS + 1);
  await settled();
  return { answers, isRefused, isOpen: !server.isDestroyed };
}

describe('the first frame of a session', () => {
  it.each<[string, Buffer, PooledTcpServerOptions]>([
    ['a request', nestFrameOf({ pattern: 'p', id: '1' }), {}],
    ['an event', nestFrameOf({ pattern: 'p' }), {}],
    ['a heartbeat, which no handler hears of', HEARTBEAT, {}],
    ['a message that does not parse', nestFrameOf('{'), {}],
    ['a request that an async deserializer still has', nestFrameOf({ pattern: 'p', id: '1' }), { deserializer: never }],
  ])('may be %s', async (_title, bytes, options) => {
    expect(await connect(bytes, options)).toMatchObject({ isOpen: true });
  });

  it('has to come in time, and whole', async () => {
    expect(await connect(Buffer.alloc(0))).toMatchObject({ isOpen: false });
    expect(await connect(HEARTBEAT.subarray(0, -1))).toMatchObject({ isOpen: false });
  });

  it('is answered with the refusal where the session is refused, also when it is a heartbeat', async () => {
    const refusal = new PooledTcpError('PTCP_SERVER_OVERLOADED', 'full');
    const { answers, isRefused, isOpen } = await connect(HEARTBEAT, {}, refusal);

    expect(answers.at(-1)).toMatchObject({ err: { code: 'PTCP_SERVER_OVERLOADED', message: 'full' } });
    expect([isRefused, isOpen]).toEqual([true, false]);
  });

  it('is refused by a server that takes native() only, also when it is a heartbeat', async () => {
    const { answers, isRefused } = await connect(HEARTBEAT, { protocol: native() });

    expect(answers.at(-1)).toMatchObject({ err: { code: 'PTCP_PROTOCOL_MISMATCH' } });
    expect(isRefused).toBe(true);
  });
});
