import { afterEach, describe, expect, it } from '@jest/globals';
import type { AddressInfo } from 'node:net';
import type { PooledTcpClientOptions } from '../../lib/index.js';
import { CallLedger } from '../support/call-ledger.js';
import { AppProcess } from '../support/app-process.js';
import type { ShortCallsReport } from '../support/apps/short-caller.js';
import { holdController } from '../support/hold-controller.js';
import { Scope } from '../support/nest-app.js';
import { NetworkLab } from '../support/network-lab.js';

const refusal = await NetworkLab.refusal();
if (refusal !== undefined) process.stdout.write(`local-ports: every test is skipped, because ${refusal}\n`);
const lab = new NetworkLab();
const scope = new Scope();

afterEach(() => lab.close());

/** Calls from a host that has twenty local ports, one after another. */
async function callFromSmallHost(calls: number, pool: PooledTcpClientOptions['pool']): Promise<ShortCallsReport> {
  const host = await lab.host();
  await host.limitLocalPorts(40_000, 40_019);
  const { netServer } = await scope.server([holdController(new CallLedger()).controller], { host: host.outside });
  const { port } = netServer.address() as AddressInfo;
  const options: PooledTcpClientOptions = { host: host.outside, port, pool: { acquireTimeoutMs: 300, ...pool } };
  const args = [JSON.stringify(options), String(calls)];
  const caller = await AppProcess.start<ShortCallsReport>({ app: 'short-caller', args, prefix: host.prefix });
  await caller.kill();
  return caller.ready;
}

(refusal === undefined ? describe : describe.skip)('a host that runs out of local ports', () => {
  it('warns before, and then says which range has none left and what to do', async () => {
    const { answered, failures, warnings, stats } = await callFromSmallHost(40, { mode: 'short' });

    expect(answered).toBe(20);
    const range = 'the 20 local ports from 40000 to 40019 (net.ipv4.ip_local_port_range)';
    const peer = stats.endpoints[0]?.address ?? '';
    expect(failures).toEqual([
      { code: 'PTCP_ACQUIRE_TIMEOUT', message: expect.stringContaining(`no local port is left of ${range}`) },
      {
        code: 'PTCP_PORTS_EXHAUSTED',
        message: expect.stringMatching(
          /^cannot connect to .*; 0 connections to it are open, 20 in TIME_WAIT, .* use pool\.mode 'shared'/,
        ),
      },
      { code: 'PTCP_CONNECT_FAILED', message: expect.stringContaining('EADDRNOTAVAIL') },
    ]);
    expect(warnings[0]).toMatch(
      `pool 'default': local ports are running out: 15 of ${range} are taken by connections to ${peer} (1 open, 14 in TIME_WAIT)`,
    );
    expect(stats).toMatchObject({ created: 20, timeWait: 20, endpoints: [{ state: 'failing', timeWait: 20 }] });
  }, 20_000);

  it('does not where connections are kept: as many calls as you like take two ports', async () => {
    const { answered, failures, stats } = await callFromSmallHost(400, { mode: 'exclusive' });

    expect({ answered, failures }).toEqual({ answered: 400, failures: [] });
    expect(stats).toMatchObject({ created: 2 });
  }, 20_000);
});
