import { describe, expect, it } from '@jest/globals';
import { Client } from '../../../lib/client/client.js';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import { RecordingLogger } from '../../support/logs.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { SessionPeer } from '../connection/session-peer.js';

/** What a client logs of a server that closes silent connections after a time. */
async function warningsAbout(serverIdleTimeoutMs: number, options: PooledTcpClientOptions): Promise<string[]> {
  const clock = new StepClock();
  const logger = new RecordingLogger();
  const peer = new SessionPeer(clock, { idleTimeoutMs: serverIdleTimeoutMs });
  const client = new Client(
    resolveClientOptions({ endpoints: ['10.0.0.1:4000'], pool: { min: 2 }, ...options }),
    { connected: () => undefined, push: () => undefined },
    { logger, clock, connector: ({ address }) => Promise.resolve(peer.accept(address)[0]) },
  );
  await client.connect();
  client.destroy();
  await settled();
  return logger.at('warn');
}

describe('the idle timeouts of both ends', () => {
  it('are compared once a pool, and one that no heartbeat keeps up with is warned of', async () => {
    const warnings = await warningsAbout(10_000, { heartbeat: { intervalMs: 10_000 } });
    expect(warnings).toEqual([
      '10.0.0.1:4000 closes connections after 10000 ms of silence, and no heartbeat comes before that; set heartbeat.intervalMs below it',
    ]);
    expect(await warningsAbout(10_000, { heartbeat: false })).toHaveLength(1);
  });

  it('are as they should be by default', async () => {
    expect(await warningsAbout(180_000, {})).toEqual([]);
    expect(await warningsAbout(0, { heartbeat: false })).toEqual([]);
  });
});
