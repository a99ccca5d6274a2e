import { describe, expect, it } from '@jest/globals';
import { Client } from '../../../lib/client/client.js';
import { resolveClientOptions, type PooledTcpClientOptions } from '../../../lib/client/settings.js';
import type { PoolMode } from '../../../lib/pool/settings.js';
import { PooledTcpError } from '../../../lib/errors/pooled-tcp-error.js';
import { RecordingLogger } from '../../support/logs.js';
import { outcomeOf } from '../pool/pool-setup.js';
import type { Connector } from '../../../lib/connection/connector.js';
import { settled, StepClock } from '../../support/step-clock.js';
import { clientOf, message } from './client-setup.js';
import { SessionPeer } from '../connection/session-peer.js';

const PORTS = { range: { first: 40_000, last: 40_099 }, timeWait: 0, inUse: 0 };

/** A client in mode short, whose peers are in memory, on a machine of a hundred local ports. */
function shortClient(connectorOf: (accept: Connector) => Connector = (accept) => accept) {
  const clock = new StepClock();
  const logger = new RecordingLogger();
  const peer = new SessionPeer(clock);
  const machine = { ports: PORTS };
  const client = new Client(
    resolveClientOptions({ endpoints: ['10.0.0.1:4000'], pool: { mode: 'short' } }),
    { connected: () => undefined },
    {
      logger,
      clock,
      connector: connectorOf(({ address }) => Promise.resolve(peer.accept(address)[0])),
      readLocalPorts: () => Promise.resolve(machine.ports),
    },
  );
  return { client, clock, logger, machine };
}

/** What a client logs of a server that closes silent connections after a time. */
async function warningsAbout(serverIdleTimeoutMs: number, options: PooledTcpClientOptions): Promise<string[]> {
  const clock = new StepClock();
  const logger = new RecordingLogger();
  const peer = new SessionPeer(clock, { idleTimeoutMs: serverIdleTimeoutMs });
  const client = new Client(
    resolveClientOptions({ endpoints: ['10.0.0.1:4000'], pool: { min: 2 }, ...options }),
    { connected: () => undefined },
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

describe('the ports of connections that come and go', () => {
  it('are counted by the pool and by endpoint, and warned of before they run out', async () => {
    const { client, logger, machine, clock } = shortClient();
    for (let i = 0; i < 80; i++) {
      clock.advance(10);
      machine.ports = { ...PORTS, timeWait: i };
      await client.emit(message('visited'));
      await settled();
    }
    const figures = { connectsPerSecond: 80, timeWait: 80 };
    expect(client.stats()).toMatchObject({ ...figures, total: 0, created: 80, endpoints: [figures] });
    expect(logger.at('warn')).toEqual([
      expect.stringMatching(
        /^pool 'default': local ports are running out: 75 of the 100 local ports from 40000 to 40099 .* \(1 open, 74 in TIME_WAIT\)/,
      ),
    ]);
    client.destroy();
  });

  it('are not held by connections that the peer closed, nor by those that failed to open', async () => {
    const { client, clock, refusing, cut } = clientOf({ pool: { mode: 'short', min: 0 } });
    refusing.add('a:1');
    const lease = outcomeOf(client.acquire({}));
    await settled();
    expect(client.stats()).toMatchObject({ created: 0, dialFailures: 1, connectsPerSecond: 1, timeWait: 0 });
    refusing.clear();
    await clock.run(200);
    expect(lease.isSettled).toBe(true);
    cut('a:1');
    await settled();
    expect(client.stats()).toMatchObject({ created: 1, closed: { lost: 1 }, connectsPerSecond: 2, timeWait: 0 });
    client.destroy();
    await settled();
  });

  it('name their range and the remedy once there are none, in the cause of what the caller gets', async () => {
    const { client, machine, clock } = shortClient(() => () => {
      const cause = Object.assign(new Error('connect EADDRNOTAVAIL 10.0.0.1:4000'), { code: 'EADDRNOTAVAIL' });
      return Promise.reject(new PooledTcpError('PTCP_CONNECT_FAILED', 'cannot connect', { cause }));
    });
    machine.ports = { ...PORTS, timeWait: 98, inUse: 2 };
    const lease = outcomeOf(client.acquire({ timeoutMs: 1_000 }));
    await clock.run(1_000, 100);
    const remedy = /no local port is left of the 100 local ports from 40000 to 40099 .* use pool\.mode 'shared'/;
    expect(lease.error).toMatchObject({
      code: 'PTCP_ACQUIRE_TIMEOUT',
      message: expect.stringMatching(remedy),
      cause: { code: 'PTCP_PORTS_EXHAUSTED', message: expect.stringMatching(remedy) },
    });
    client.destroy();
    await settled();
  });
});

describe('a connection for one call', () => {
  it('takes one round trip less to open: the call itself shows whether the peer answers', async () => {
    const roundTrips = async (mode: PoolMode): Promise<unknown> => {
      const { client } = clientOf({ heartbeat: { intervalMs: 1_000 }, pool: { mode, min: 0 } });
      const lease = outcomeOf(client.acquire({}));
      await settled();
      expect(lease.isSettled).toBe(true);
      const measured = client.connections.map(({ roundTripMs }) => roundTripMs);
      client.destroy();
      await settled();
      return measured;
    };
    await expect(roundTrips('exclusive')).resolves.toEqual([0]);
    await expect(roundTrips('short')).resolves.toEqual([undefined]);
  });
});
