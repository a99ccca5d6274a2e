import { describe, expect, it } from '@jest/globals';
import { Client } from '../../../lib/client/client.js';
import { resolveClientOptions } from '../../../lib/client/settings.js';
import { RecordingLogger } from '../../support/logs.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { SessionPeer } from '../connection/session-peer.js';

/** A client that says nothing after its hello, at a server that closes silent connections after a second. */
async function silentClient() {
  const clock = new StepClock();
  const peer = new SessionPeer(clock, { idleTimeoutMs: 1_000 });
  const client = new Client(
    resolveClientOptions({ endpoints: ['10.0.0.1:4000'], heartbeat: false, pool: { min: 1, max: 1 } }),
    { connected: () => undefined },
    { logger: new RecordingLogger(), clock, connector: ({ address }) => Promise.resolve(peer.accept(address)[0]) },
  );
  await client.connect();
  const [session] = peer.sessions;
  const isOpen = (): boolean => session !== undefined && peer.sessions.includes(session);
  return { clock, client, isOpen };
}

describe('a session that is silent', () => {
  it('is closed after idleTimeoutMs', async () => {
    const { clock, client, isOpen } = await silentClient();
    await clock.run(999);
    expect(isOpen()).toBe(true);
    await clock.run(1);
    expect(isOpen()).toBe(false);
    client.destroy();
    await settled();
  });

  it('gets its time again when this process was frozen: what it said may lie unread', async () => {
    const { clock, client, isOpen } = await silentClient();
    clock.freeze(60_000);
    await clock.run(1);
    expect(isOpen()).toBe(true);
    await clock.run(1_000);
    expect(isOpen()).toBe(false);
    client.destroy();
    await settled();
  });
});
