import { beforeEach, describe, expect, it } from '@jest/globals';
import type { INestMicroservice, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { filter, firstValueFrom } from 'rxjs';
import { getPoolToken, PooledTcpServer, type PooledTcpClient } from '../../lib/index.js';
import { FaultProxy } from '../../lib/testing/index.js';
import { parseOptions, USAGE } from '../../sample/04-bank-gateway/demo/options.js';
import { GatewayModule, type GatewayOptions } from '../../sample/04-bank-gateway/gateway/gateway.module.js';
import { hostOptions } from '../../sample/04-bank-gateway/host/host-options.js';
import { HostModule } from '../../sample/04-bank-gateway/host/host.module.js';
import { Ledger } from '../../sample/04-bank-gateway/host/ledger.js';
import type { FramingName } from '../../sample/04-bank-gateway/wire/framings.js';
import { noPython } from '../support/foreign/python-peer.js';
import { Scope } from '../support/nest-app.js';

const run = promisify(execFile);
const LOADER = join(import.meta.dirname, '../support/apps/typescript.mjs');
const MAIN = join(import.meta.dirname, '../../sample/04-bank-gateway/main.ts');
const PYTHON_STATION = join(import.meta.dirname, '../support/peers/bank_client.py');
const FRAMINGS = ['ascii', 'bcd'] as const;
/** A call for a dormant account takes longer than the gateway waits. */
const TIMEOUT_MS = 800;
const ARCHIVE_MS = 1_600;
const CAKE = { reference: 'CAKE-1', from: '1', to: '2', currency: 'EUR', amount: '12.50', purpose: 'a cake' };

if (noPython !== undefined) console.warn(noPython);

describe('sample 04-bank-gateway', () => {
  it.each([
    ['ascii', 'four ASCII digits', '4 decimal digits, got the bytes 31325834'],
    ['bcd', 'two bytes of BCD', '4 binary-coded decimal digits, got the bytes 1fa4'],
  ])(
    'plays every scene over %s, and ends by itself',
    async (framing, begins, refused) => {
      const args = ['--import', LOADER, MAIN, '--once', '--framing', framing];
      // Rejects with what it said unless it ends by itself, and well.
      const { stdout } = await run(process.execPath, args, { timeout: 60_000 });

      expect(stdout).toContain(`frames begin with ${begins}`);
      expect(stdout.match(/GATEWAY1 signed on from/g)?.length).toBeGreaterThanOrEqual(2);
      expect(stdout.match(/transfer RENT-2026-11: booked as/g)).toHaveLength(1);
      expect(stdout).toContain('✓ booked once: 987.50 - 120.00 = 867.50');
      expect(stdout).toContain('504 {"statusCode":504,"code":"PTCP_REQUEST_TIMEOUT"');
      expect(stdout).toContain(`the length field should be ${refused} (PTCP_FRAME_MALFORMED)`);
      expect(stdout).toContain('GATEWAY1 signed off from');
      expect(stdout).toMatch(/✓ the gateway has drained and ended\n.*✓ the host has drained and ended\n$/s);
      expect(stdout).not.toContain('✗');
    },
    70_000,
  );

  it('refuses options that it does not know', () => {
    expect(parseOptions(['--help'])).toBe(USAGE);
    expect(parseOptions(['--framing', 'ebcdic'])).toMatch(/^'ebcdic' is no framing; choose ascii or bcd/);
    expect(parseOptions(['--port', '70000'])).toMatch(/^--port \(70000\) must be from 0 to 65535/);
    expect(parseOptions([])).toEqual({ once: false, framing: 'ascii', port: 3000 });
    expect(parseOptions(['--once', '--framing', 'bcd'])).toEqual({ once: true, framing: 'bcd', port: 0 });
  });
});

describe.each(FRAMINGS)('the bank over %s', (framing) => {
  const scope = new Scope();
  let bank: Bank;

  beforeEach(async () => {
    bank = await startBank(scope, framing);
  });

  it('answers enquiries and books transfers, in minor units on the wire and as decimals over HTTP', async () => {
    const { get, transfer } = await startGateway(scope, bank);

    expect(await get('/accounts/1')).toEqual([200, { account: '0000000001', currency: 'EUR', balance: '1000.00' }]);
    expect(await get('/accounts/3')).toMatchObject([200, { currency: 'JPY', balance: '90000' }]);
    expect(await transfer()).toEqual([201, { reference: 'CAKE-1', booking: '0000000001', balance: '987.50' }]);
    expect(await transfer({ reference: 'CENT-1', amount: '0.05' })).toMatchObject([201, { balance: '987.45' }]);
    expect(await get('/accounts/2')).toMatchObject([200, { balance: '262.55' }]);
  });

  it.each<[string, Partial<Record<string, unknown>>, number, string, string]>([
    ['an unknown account', { to: '404' }, 404, '14', 'unknown account 0000000404'],
    ['too little money', { amount: '1000.01' }, 422, '51', 'insufficient funds'],
    ['another currency', { currency: 'CHF' }, 422, '61', 'wrong currency'],
    ['a field that is too small', { purpose: 'x'.repeat(36) }, 400, 'PTCP_PAYLOAD_UNSERIALIZABLE', 'purpose: holds 35'],
    ['an amount too large', { amount: '9'.repeat(11) }, 400, 'PTCP_PAYLOAD_UNSERIALIZABLE', 'amount: holds 12'],
  ])('refuses a transfer with %s, without effect', async (_, change, status, code, message) => {
    const { transfer, pool } = await startGateway(scope, bank);

    const answer = await transfer(change);
    expect(answer).toMatchObject([status, { statusCode: status, code, effect: 'none' }]);
    expect((answer[1] as { message: string }).message).toContain(message);
    expect(bank.ledger.booked).toBe(0);
    expect(pool.stats()).toMatchObject({ total: 2, created: 2, inFlight: 0 });
  });

  it.each<[string, unknown]>([
    ['amount must be a number with at most 2 decimals, as a string', { ...CAKE, amount: '1e3' }],
    ['amount must be a number with at most 2 decimals, as a string', { ...CAKE, amount: '1.005' }],
    ['currency must be one of EUR, CHF, JPY', { ...CAKE, currency: 'toString' }],
    ['amount must be a string', { ...CAKE, amount: 12.5 }],
    ['reference must not be empty', { ...CAKE, reference: '' }],
    ['reference, from, to, currency, amount, purpose must be a string', []],
  ])('answers 400: %s', async (message, body) => {
    const { post } = await startGateway(scope, bank);

    expect(await post('/transfers', body)).toMatchObject([400, { message: expect.stringContaining(message) }]);
  });

  it('answers a reference that is known with the first booking, and 409 for another transfer', async () => {
    const { transfer } = await startGateway(scope, bank);

    const first = await transfer();
    expect(await transfer()).toEqual(first);
    expect(await transfer({ amount: '12.51' })).toMatchObject([409, { code: '94', effect: 'none' }]);
    expect(bank.ledger.booked).toBe(1);
  });

  it('has one call on a connection at a time, and signs every connection on and off', async () => {
    const { get, pool, close } = await startGateway(scope, bank);

    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => get(`/accounts/${(i % 3) + 1}`)));

    const accounts = answers.map(([, body]) => Number((body as { account: string }).account));
    expect(accounts).toEqual(Array.from({ length: 40 }, (_, i) => (i % 3) + 1));
    const { total, created } = pool.stats();
    expect(total).toBeLessThanOrEqual(8);
    expect(bank.log.count(/signed on/)).toBe(created);
    await close();
    expect(bank.log.count(/signed off/)).toBe(created);
  });

  it('does not start where the bank does not know its station, and says so', async () => {
    await expect(
      startGateway(scope, bank, { station: 'MALLORY', pool: { prewarmTimeoutMs: 300 } }),
    ).rejects.toMatchObject({
      code: 'PTCP_POOL_PREWARM_FAILED',
      message: expect.stringContaining('unknown station'),
    });
  });

  it.each([
    ['sends it again by itself', undefined, [201, { booking: '0000000001', balance: '987.50' }]],
    ['says that the effect is unknown', false, [502, { effect: 'unknown' }]],
  ] as const)('books once when the answer is lost; the gateway %s (retry: %s)', async (_, retry, wanted) => {
    const proxy = await FaultProxy.listen({ target: { host: '127.0.0.1', port: bank.port } });
    scope.defer(() => proxy.close());
    const { transfer } = await startGateway(scope, { ...bank, port: proxy.port }, { retry });
    proxy.set({ limit: { afterBytes: 20, then: 'reset' } }, { direction: 'toClient', connections: 'open' });

    expect(await transfer()).toMatchObject(wanted);
    proxy.heal();
    expect(await transfer()).toMatchObject([201, { booking: '0000000001', balance: '987.50' }]);
    expect(bank.ledger.booked).toBe(1);
    expect(bank.ledger.account('0000000001').balance).toBe(987_50n);
  });

  it('gives the connection up with the call that timed out, so that nobody gets the late answer', async () => {
    const { get, pool, close } = await startGateway(scope, bank, {
      requestTimeoutMs: TIMEOUT_MS,
      pool: { min: 1, max: 1, mode: 'exclusive' },
    });

    expect(await get('/accounts/9')).toMatchObject([504, { code: 'PTCP_REQUEST_TIMEOUT' }]);
    expect(await get('/accounts/1')).toMatchObject([200, { account: '0000000001' }]);
    expect(await get('/accounts/2')).toMatchObject([200, { account: '0000000002' }]);
    expect(pool.stats()).toMatchObject({ created: 2, total: 1 });
    await close();
    // Whose call was given up could not have signed off any more.
    expect([bank.log.count(/signed on/), bank.log.count(/signed off/)]).toEqual([2, 1]);
  });

  it('is down in /health when the host goes', async () => {
    const { get, pool } = await startGateway(scope, bank, { pool: { acquireTimeoutMs: 100 } });

    expect(await get('/health')).toMatchObject([200, { details: { bank: { status: 'up', total: 2 } } }]);
    await bank.app.close();
    await firstValueFrom(pool.status.pipe(filter((status) => status === 'disconnected')));
    expect(await get('/health')).toMatchObject([503, { details: { bank: { status: 'down', total: 0 } } }]);
    expect(await get('/accounts/1')).toMatchObject([503, { effect: 'none' }]);
  });

  (noPython === undefined ? it : it.skip)('serves a station written in Python', async () => {
    const { stdout } = await run('python3', [PYTHON_STATION, framing, String(bank.port)], { timeout: 30_000 });

    const refused = (type: string, code: string, message: string): string => type + code + message.padEnd(40);
    const booked = `021000${'P-1'.padEnd(20)}0000000001000000098750`;
    expect(JSON.parse(stdout)).toEqual({
      'balance before sign-on': refused('0110', '58', 'not signed on'),
      'sign-on': `081000${'CORE'.padEnd(16)}`,
      echo: '085000',
      'balance in single bytes': '0110000000000001EUR000000100000',
      'two balances in one write': ['0110000000000002EUR000000025000', '0110000000000003JPY000000090000'],
      'unknown account': refused('0110', '14', 'unknown account 0000000404'),
      'letter in the amount': refused('0210', '30', 'amount: wants decimal digits'),
      'short transfer': refused('0210', '30', 'purpose: needs 35 bytes and has 34'),
      transfer: booked,
      'the same on another connection': booked,
      'another amount': refused('0210', '94', 'duplicate reference'),
      'message of no type': null,
      'sign-off': '083000',
      'balance after sign-off': refused('0110', '58', 'not signed on'),
      'malformed length': null,
    });
  });
});

interface Bank {
  readonly framing: FramingName;
  readonly port: number;
  readonly app: INestMicroservice;
  readonly ledger: Ledger;
  /** What host and gateway have logged. */
  readonly log: LogLines;
}

class LogLines implements LoggerService {
  readonly lines: string[] = [];

  log(line: unknown): void {
    this.lines.push(String(line));
  }

  warn(): void {}

  error(): void {}

  count(pattern: RegExp): number {
    return this.lines.filter((line) => pattern.test(line)).length;
  }
}

async function startBank(scope: Scope, framing: FramingName): Promise<Bank> {
  const log = new LogLines();
  const strategy = new PooledTcpServer(hostOptions(framing, 0));
  const app = await NestFactory.createMicroservice(HostModule.register(ARCHIVE_MS), { strategy, logger: log });
  scope.defer(() => app.close());
  await app.listen();
  const port = Number(strategy.stats().address?.split(':').at(-1));
  return { framing, port, app, ledger: app.get(Ledger), log };
}

type Answer = [status: number, body: unknown];

async function startGateway(scope: Scope, { framing, port, log }: Bank, options: Partial<GatewayOptions> = {}) {
  const gateway = GatewayModule.register({
    wire: framing,
    endpoints: [`127.0.0.1:${port}`],
    backoff: { initialMs: 10, maxMs: 50 },
    ...options,
  });
  const app = await NestFactory.create(gateway, { logger: log, abortOnError: false });
  scope.defer(() => app.close());
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const call = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(url + path, init);
    return [response.status, await response.json()];
  };
  const post = (path: string, body: unknown): Promise<Answer> =>
    call(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return {
    get: (path: string) => call(path),
    post,
    transfer: (change: Partial<Record<string, unknown>> = {}) => post('/transfers', { ...CAKE, ...change }),
    pool: app.get<PooledTcpClient>(getPoolToken('bank')),
    close: () => app.close(),
  };
}
