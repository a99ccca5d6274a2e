import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern } from '@nestjs/microservices';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { filter, firstValueFrom, Subject, take, toArray } from 'rxjs';
import { getPoolToken, type ClientStats, type HeartbeatSettings, type PooledTcpClient } from '../../lib/index.js';
import { cmppCodec, framing, type Traffic } from '../../sample/05-cmpp-gateway/cmpp/cmpp-codec.js';
import {
  VERSION,
  type ConnectResp,
  type Deliver,
  type DeliverResp,
} from '../../sample/05-cmpp-gateway/cmpp/messages.js';
import { linkTest, PORTS, WINDOW } from '../../sample/05-cmpp-gateway/cmpp/parameters.js';
import { ACCOUNTS } from '../../sample/05-cmpp-gateway/demo/accounts.js';
import { parseOptions, USAGE } from '../../sample/05-cmpp-gateway/demo/options.js';
import { IsmgController } from '../../sample/05-cmpp-gateway/ismg/ismg.controller.js';
import { IsmgModule } from '../../sample/05-cmpp-gateway/ismg/ismg.module.js';
import { ismgServer } from '../../sample/05-cmpp-gateway/ismg/ismg-server.js';
import { MobileNetwork } from '../../sample/05-cmpp-gateway/ismg/mobile-network.js';
import { ServiceProviders } from '../../sample/05-cmpp-gateway/ismg/service-providers.js';
import { Inbox, type Arrival } from '../../sample/05-cmpp-gateway/sp/inbox.js';
import { SpModule } from '../../sample/05-cmpp-gateway/sp/sp.module.js';
import { spPool } from '../../sample/05-cmpp-gateway/sp/sp-pool.js';
import { noPython } from '../support/foreign/python-peer.js';
import { Scope } from '../support/nest-app.js';

const [FIRST, SECOND] = ACCOUNTS;
const LOADER = join(import.meta.dirname, '../support/apps/typescript.mjs');
const MAIN = join(import.meta.dirname, '../../sample/05-cmpp-gateway/main.ts');
const PYTHON_SP = join(import.meta.dirname, '../support/peers/cmpp_sp.py');
const run = promisify(execFile);

describe('sample 05-cmpp-gateway', () => {
  const scope = new Scope();

  async function startIsmg({ handsetMs = 1, port = 0, heartbeat }: IsmgStart = {}) {
    const traffic = new Subject<Traffic>();
    const strategy = ismgServer({ port, heartbeat, onTraffic: (seen) => traffic.next(seen) });
    const app = await NestFactory.createMicroservice(IsmgModule.register({ accounts: ACCOUNTS, handsetMs }), {
      strategy,
      logger: false,
    });
    scope.defer(() => app.close());
    await app.listen();
    const address = strategy.stats().address ?? '';
    const outbox = (sourceAddr: string) =>
      [...app.get(ServiceProviders)].find((provider) => provider.sourceAddr === sourceAddr)?.outbox.stats;
    return { app, strategy, address, traffic, outbox, port: Number(address.split(':')[1]) };
  }

  async function startSp(ismg: string, { secret = FIRST.secret, heartbeat }: SpStart = {}) {
    const seen: Traffic[] = [];
    const traffic = new Subject<Traffic>();
    traffic.subscribe((message) => seen.push(message));
    const sp = SpModule.register({
      ismg,
      sourceAddr: FIRST.sourceAddr,
      secret,
      srcId: FIRST.accessNumber,
      heartbeat,
      onTraffic: (message) => traffic.next(message),
    });
    const app = await NestFactory.create(sp, { logger: false, abortOnError: false });
    scope.defer(() => app.close());
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const inbox = app.get(Inbox, { strict: false });
    const arrivals = (count: number): Promise<Arrival[]> => firstValueFrom(inbox.arrivals.pipe(take(count), toArray()));
    const send = async (to: readonly string[], text: string): Promise<{ status: number; body: SmsAnswer }> => {
      const response = await fetch(`${url}/sms`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ to, text }),
      });
      return { status: response.status, body: (await response.json()) as SmsAnswer };
    };
    const count = (direction: Traffic['direction'], message: string): number =>
      seen.filter((one) => one.direction === direction && one.message === message).length;
    return { app, url, inbox, arrivals, send, count, traffic, pool: app.get<PooledTcpClient>(getPoolToken('ismg')) };
  }

  it('logs in on every connection, submits a text, and gets a report for each handset', async () => {
    const { address } = await startIsmg();
    const { arrivals, send, count, url } = await startSp(address);
    expect(count('received', 'CMPP_CONNECT_RESP')).toBe(2);

    const reports = arrivals(2);
    const { status, body } = await send(['13800000001', '13800000100'], 'Your code is 271828');
    expect({ status, parts: body.msgIds?.length }).toEqual({ status: 202, parts: 1 });
    const msgId = body.msgIds?.[0];
    expect(await reports).toEqual(
      expect.arrayContaining([
        { kind: 'report', msgId, to: '13800000001', stat: 'DELIVRD' },
        { kind: 'report', msgId, to: '13800000100', stat: 'UNDELIV' },
      ]),
    );
    expect(await (await fetch(`${url}/inbox`)).json()).toHaveLength(2);
    expect((await (await fetch(`${url}/pool`)).json()) as ClientStats).toMatchObject({ name: 'ismg', total: 2 });
  });

  it('submits a long text in parts, each with its Msg_Id', async () => {
    const { address } = await startIsmg();
    const { arrivals, send } = await startSp(address);
    const reports = arrivals(3);
    const { body } = await send(['13800000001'], '短信'.repeat(100));
    expect(body.msgIds).toHaveLength(3);
    const reported = (await reports).map((report) => (report.kind === 'report' ? report.msgId : ''));
    expect(reported.sort()).toEqual([...(body.msgIds ?? [])].sort());
  });

  it('gives the SP what handsets write to its numbers', async () => {
    const { app, address } = await startIsmg();
    const { arrivals } = await startSp(address);
    const arrived = arrivals(1);
    const network = app.get(MobileNetwork);
    expect(network.write('13800000001', '99999999', 'nobody')).toBe(false);
    expect(network.write('13800000001', `${FIRST.accessNumber}88`, '收到')).toBe(true);
    expect(await arrived).toEqual([{ kind: 'message', from: '13800000001', to: '1069000188', text: '收到' }]);
  });

  it('keeps both windows under load, and answers and reports every message once', async () => {
    const { app, address, outbox } = await startIsmg();
    const { arrivals, send } = await startSp(address);
    const reports = arrivals(300);
    const sent = await Promise.all(Array.from({ length: 300 }, (_, i) => send(['13800000001'], `number ${i}`)));

    const msgIds = sent.map(({ body }) => body.msgIds?.[0]);
    expect(new Set(msgIds).size).toBe(300);
    expect((await reports).map((report) => (report.kind === 'report' ? report.msgId : '')).sort()).toEqual(
      msgIds.sort(),
    );
    const { mostInFlight } = app.get(IsmgController);
    expect(mostInFlight).toBeGreaterThan(1);
    expect(mostInFlight).toBeLessThanOrEqual(WINDOW);
    expect(outbox(FIRST.sourceAddr)).toMatchObject({ failed: 0, waiting: 0 });
    expect(outbox(FIRST.sourceAddr)?.mostUnanswered).toBeLessThanOrEqual(WINDOW);
  });

  it('says no with the Result of the specification', async () => {
    const { address } = await startIsmg();
    const { send, pool } = await startSp(address);
    expect(await send(['10000'], 'hi')).toMatchObject({
      status: 422,
      body: { code: 'PTCP_HANDLER_FAILED', result: 13 },
    });
    expect(await send([], 'hi')).toMatchObject({ status: 400 });
    await expect(
      pool.request('submit', { msgSrc: SECOND.sourceAddr, destTerminalIds: ['13800000001'] }),
    ).rejects.toMatchObject({ code: 'PTCP_HANDLER_FAILED', cause: { cmppCode: 11 } });
    await expect(pool.request('submit', { destTerminalIds: [] })).rejects.toMatchObject({
      code: 'PTCP_PAYLOAD_UNSERIALIZABLE',
      sent: false,
      message: expect.stringContaining('Dest_terminal_Id of CMPP_SUBMIT: there are 0') as unknown,
    });
  });

  it('answers what is beyond the window with Result 8, flow control, and the rest as always', async () => {
    const { app, address } = await startIsmg();
    const onDeliver = ({ msgId }: Deliver): DeliverResp => ({ msgId, result: 0 });
    const options = spPool({ ismg: address, ...FIRST, connections: { min: 1, max: 1 }, onDeliver });
    const client = scope.client(undefined, { ...options, pool: { ...options.pool, maxInFlight: 2 * WINDOW } });
    await client.connect();
    const { sourceAddr, accessNumber } = FIRST;
    const submit = { msgSrc: sourceAddr, srcId: accessNumber, destTerminalIds: ['13800000001'] };
    const outcomes = await Promise.allSettled(
      Array.from({ length: 2 * WINDOW }, () => client.request('submit', submit)),
    );
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toMatchObject({ cause: { cmppCode: 8 } });
    expect(app.get(IsmgController).mostInFlight).toBe(WINDOW);
    await client.close();
  });

  it('does not start an SP with the wrong secret, and says why', async () => {
    const { address } = await startIsmg();
    const onDeliver = (): never => {
      throw new Error('nothing is for me');
    };
    for (const [sourceAddr, reason] of [
      [FIRST.sourceAddr, 'status 3, bad authenticator'],
      ['999999', 'status 2, bad source addr'],
    ] as const) {
      const options = spPool({ ismg: address, sourceAddr, secret: 'a guess', onDeliver });
      const client = scope.client(undefined, { ...options, pool: { min: 1, prewarmTimeoutMs: 100 } });
      await expect(client.connect()).rejects.toMatchObject({
        code: 'PTCP_POOL_PREWARM_FAILED',
        message: expect.stringContaining(`the ISMG refused SP ${sourceAddr}: ${reason}`) as unknown,
      });
    }
  });

  it('does not talk to one who lets it in without knowing its secret', async () => {
    @Controller()
    class Impostor {
      @MessagePattern('connect')
      connect(): Partial<ConnectResp> {
        return { status: 0, version: VERSION };
      }
    }
    const { port } = await scope.server([Impostor], { framing, codec: cmppCodec({ role: 'ismg' }) });
    const onDeliver = (): DeliverResp => ({ msgId: 0n, result: 0 });
    const options = spPool({ ismg: `127.0.0.1:${port}`, ...FIRST, onDeliver });
    const client = scope.client(undefined, { ...options, pool: { min: 1, prewarmTimeoutMs: 100 } });
    await expect(client.connect()).rejects.toMatchObject({
      message: expect.stringContaining('without knowing its secret: this is not its ISMG') as unknown,
    });
  });

  it('gives each SP what is its own, and keeps it while the SP is away', async () => {
    const { address, app, outbox } = await startIsmg();
    const first = await startSp(address);
    app.get(MobileNetwork).write('13800000001', SECOND.accessNumber, 'are you there?');
    expect(outbox(SECOND.sourceAddr)).toMatchObject({ connections: 0, waiting: 1 });

    const inbox = new Inbox();
    const arrived = firstValueFrom(inbox.arrivals);
    const { sourceAddr, secret } = SECOND;
    const received: string[] = [];
    const client = scope.client(
      undefined,
      spPool({
        ismg: address,
        sourceAddr,
        secret,
        connections: { min: 1, max: 1 },
        onDeliver: (deliver) => inbox.take(deliver),
        onTraffic: ({ direction, message }) => direction === 'received' && received.push(message),
      }),
    );
    await client.connect();
    expect(await arrived).toMatchObject({ kind: 'message', to: SECOND.accessNumber, text: 'are you there?' });
    expect(received).toEqual(['CMPP_CONNECT_RESP', 'CMPP_DELIVER']);
    expect(first.inbox.all).toEqual([]);
    await client.close();
  });

  it('asks for a sign of life from both ends after C, and answers', async () => {
    const heartbeat = linkTest(30);
    const { address, traffic } = await startIsmg({ heartbeat });
    const asked = (direction: Traffic['direction']): Promise<Traffic> =>
      firstValueFrom(
        traffic.pipe(filter((seen) => seen.direction === direction && seen.message === 'CMPP_ACTIVE_TEST_RESP')),
      );
    const both = Promise.all([asked('sent'), asked('received')]);
    const { pool } = await startSp(address, { heartbeat });
    await both;
    expect(pool.stats()).toMatchObject({ total: 2, requests: 0 });
  });

  it('takes C, T, N, W and the port from the specification when nobody says otherwise', () => {
    const [{ sourceAddr, secret }] = ACCOUNTS;
    const heartbeat = { intervalMs: 180_000, timeoutMs: 60_000, attempts: 3 };
    const pool = spPool({ ismg: 'ismg:7890', sourceAddr, secret, onDeliver: () => ({ msgId: 0n, result: 0 }) });
    expect(pool).toMatchObject({ heartbeat, requestTimeoutMs: 60_000, pool: { maxInFlight: 16 } });
    expect(ismgServer({}).settings).toMatchObject({ heartbeat, port: PORTS.long, maxInFlightPerConnection: 16 });
    expect(PORTS.long).toBe(7890);
  });

  it('says goodbye: an SP that closes, and an ISMG that closes, each once', async () => {
    const ismg = await startIsmg();
    const leaving = await startSp(ismg.address);
    await leaving.app.close();
    expect(leaving.count('sent', 'CMPP_TERMINATE')).toBe(2);
    expect(leaving.count('received', 'CMPP_TERMINATE_RESP')).toBe(2);

    const staying = await startSp(ismg.address);
    await ismg.app.close();
    expect(staying.count('received', 'CMPP_TERMINATE')).toBe(2);
    expect(staying.count('sent', 'CMPP_TERMINATE_RESP')).toBe(2);
    expect(staying.count('sent', 'CMPP_TERMINATE')).toBe(0);
  });

  const withPython = noPython === undefined ? describe : describe.skip;
  if (noPython !== undefined) console.warn(noPython);
  withPython('with an SP in Python', () => {
    async function python(port: number, secret: string, manner: string): Promise<unknown> {
      const { sourceAddr, accessNumber } = FIRST;
      const args = [PYTHON_SP, String(port), sourceAddr, secret, accessNumber, manner];
      const { stdout } = await run('python3', args, { timeout: 30_000 });
      return JSON.parse(stdout);
    }

    it.each(['honest', 'bytes'])('logs in, submits, reports, is alive and says goodbye: %s', async (manner) => {
      const { port, outbox } = await startIsmg();
      expect(await python(port, FIRST.secret, manner)).toEqual({
        status: 0,
        mutual: true,
        results: [0],
        reported: 16,
        stats: ['DELIVRD'],
        alive: true,
        goodbye: true,
      });
      expect(outbox(FIRST.sourceAddr)).toMatchObject({ delivered: 16, failed: 0, waiting: 0 });
    });

    it('refuses a wrong secret with Status 3, and closes', async () => {
      const { port } = await startIsmg();
      expect(await python(port, 'a guess', 'honest')).toEqual({ status: 3, closed: true });
    });

    it('does nothing for one who has not logged in, and closes', async () => {
      const { port, outbox } = await startIsmg();
      expect(await python(port, FIRST.secret, 'stranger')).toEqual({ command: 0x8000_0004, result: 2, closed: true });
      expect(outbox(FIRST.sourceAddr)).toMatchObject({ waiting: 0, delivered: 0 });
    });
  });

  it('plays in two processes, and ends by itself', async () => {
    const args = ['--import', LOADER, MAIN, '--once', '--messages', '60', '--link-test', '300'];
    // Rejects with what it said unless it ends by itself, and well.
    const { stdout } = await run(process.execPath, args, { timeout: 60_000, killSignal: 'SIGKILL' });
    expect(stdout).toMatch(/with the wrong secret: PTCP_POOL_PREWARM_FAILED.*status 3, bad authenticator/);
    expect(stdout).toMatch(/✓ 96 characters to 13800000001: Msg_Id \d+, \d+\n/);
    expect(stdout).toContain('gets “谢谢，收到了” from 13800000001');
    expect(stdout).toContain('✓ 60 answered and 60 reported, each once');
    expect(stdout).toMatch(/sp {3}\| → CMPP_TERMINATE #/);
    expect(stdout).toMatch(/ismg \| → CMPP_TERMINATE #/);
    expect(stdout).toContain('✓ both have ended');
  }, 70_000);

  it('refuses options that it does not know', () => {
    expect(parseOptions(['--help'])).toBe(USAGE);
    expect(parseOptions(['--fast'])).toMatch(/^Unknown option '--fast'/);
    expect(parseOptions(['--messages', '0'])).toMatch(/^--messages \(0\) must be a whole number from 1 to 900/);
    expect(parseOptions(['--once'])).toMatchObject({ once: true, port: 0, cmppPort: 0, linkTestMs: 600 });
    expect(parseOptions([])).toMatchObject({ port: 3000, cmppPort: 7890 });
  });
});

interface IsmgStart {
  readonly handsetMs?: number;
  readonly port?: number;
  readonly heartbeat?: HeartbeatSettings;
}

interface SpStart {
  readonly secret?: string;
  readonly heartbeat?: HeartbeatSettings;
}

interface SmsAnswer {
  readonly msgIds?: readonly string[];
  readonly code?: string;
  readonly result?: number;
}
