import { once } from 'node:events';
import { connect } from 'node:net';
import { FaultProxy } from '../../../lib/testing/index.js';
import type { AccountView } from '../gateway/bank.controller.js';
import type { FramingName } from '../wire/framings.js';
import { Child, ServiceError } from './child.js';
import { Http } from './http.js';
import type { DemoOptions } from './options.js';

/** Shorter than what the archive takes, so that the call for a dormant account times out. */
const TIMEOUT_MS = 1_000;
const ARCHIVE_MS = 2_000;
/** An answer to an echo passes, one to a transfer breaks off. */
const BROKEN_OFF = 20;

/** A length that is none. */
const MALFORMED: Readonly<Record<FramingName, Buffer>> = {
  ascii: Buffer.from('12X40100'),
  bcd: Buffer.from('1fa40100', 'hex'),
};

const RENT = { reference: 'RENT-2026-11', from: '1', to: '2', currency: 'EUR', amount: '120.00', purpose: 'rent' };

/** The demonstration, scene by scene. */
export class Play {
  readonly #options: DemoOptions;
  readonly #children: Child[] = [];
  #proxy: FaultProxy | undefined;

  constructor(options: DemoOptions) {
    this.#options = options;
  }

  /** Plays all scenes. Rejects when one does not go as it should. */
  async run(): Promise<void> {
    const { framing, port, once: isOnce } = this.#options;
    heading(
      `1  A bank and its gateway; frames begin with ${framing === 'ascii' ? 'four ASCII digits' : 'two bytes of BCD'}`,
    );
    const host = this.#start('host', { BANK_FRAMING: framing, BANK_PORT: '0', ARCHIVE_MS: String(ARCHIVE_MS) });
    const bank = addressOf(await host.ready());
    // Stands between the two, so that connections can be lost.
    const proxy = await FaultProxy.listen({ target: bank });
    this.#proxy = proxy;
    const gateway = this.#start('gateway', {
      BANK_FRAMING: framing,
      BANK_ADDRESS: `127.0.0.1:${proxy.port}`,
      BANK_TIMEOUT_MS: String(TIMEOUT_MS),
      PORT: String(port),
    });
    const url = await gateway.ready();
    good(`the gateway serves ${url}`);
    const http = new Http(url, print);

    heading('2  Enquiries, a transfer, and refusals');
    await this.#enquire(http);
    heading('3  The connection is lost after the booking, before the answer');
    await this.#loseAnswer(http, host, proxy);
    heading('4  An answer that comes too late is nobody else’s');
    await this.#late(http);
    heading('5  A peer that sends no length');
    await garbage(bank, framing, host);
    heading('6  Health');
    await http.get('/health', 200);
    if (isOnce) return;
    heading('7  Your turn');
    for (const line of invitation(url)) print(line);
  }

  /** Resolves when a service has ended by itself. */
  async accident(): Promise<never> {
    const [name, how] = await Promise.race(this.#children.map(async ({ name, ended }) => [name, await ended] as const));
    throw new ServiceError(`${name} ${how ?? 'ended'}`);
  }

  /** Ends who calls first, then who is called. True when all ended well. */
  async close(): Promise<boolean> {
    let isWell = true;
    for (const child of this.#children.toReversed()) {
      const how = await child.stop();
      if (how === undefined) good(`the ${child.name} has drained and ended`);
      else bad(`the ${child.name} ${how}`);
      isWell &&= how === undefined;
    }
    await this.#proxy?.close();
    return isWell;
  }

  kill(): void {
    for (const child of this.#children) child.kill();
  }

  #start(name: string, env: NodeJS.ProcessEnv): Child {
    const child = new Child(name, env, (line) => {
      print(`${name.padEnd(7)} | ${line}`);
    });
    this.#children.push(child);
    return child;
  }

  async #enquire(http: Http): Promise<void> {
    await http.get('/accounts/1', 200);
    await http.transfer({ ...RENT, reference: 'GIFT-1', amount: '12.50', purpose: 'for the cake' });
    await http.get('/accounts/404', 404);
    await http.transfer({ ...RENT, reference: 'CAR-1', amount: '30000.00', purpose: 'a car' }, 422);
    await http.transfer({ ...RENT, reference: 'GIFT-1', amount: '99.00', purpose: 'another cake' }, 409);
    await http.transfer({ ...RENT, reference: 'LONG-1', purpose: 'a purpose that is longer than thirty-five' }, 400);
  }

  async #loseAnswer(http: Http, host: Child, proxy: FaultProxy): Promise<void> {
    const before = await http.get<AccountView>('/accounts/1', 200);
    proxy.set({ limit: { afterBytes: BROKEN_OFF, then: 'reset' } }, { direction: 'toClient', connections: 'open' });
    const { balance } = await http.transfer(RENT);
    proxy.heal();
    await host.prints(/RENT-2026-11 is known/);
    const after = await http.get<AccountView>('/accounts/1', 200);
    if (balance !== after.balance || cents(before.balance) - cents(balance) !== cents(RENT.amount))
      throw new ServiceError('the rent was not booked once');
    good(`booked once: ${before.balance} - ${RENT.amount} = ${after.balance}`);
  }

  async #late(http: Http): Promise<void> {
    print(`account 9 is in the archive, which takes ${ARCHIVE_MS} ms; the gateway waits ${TIMEOUT_MS} ms`);
    const dormant = http.get('/accounts/9', 504);
    const others = await Promise.all(
      ['1', '2', '3'].map((account) => http.get<AccountView>(`/accounts/${account}`, 200)),
    );
    await dormant;
    others.push(await http.get<AccountView>('/accounts/3', 200));
    const answered = others.map(({ account }) => Number(account));
    if (String(answered) !== '1,2,3,3') throw new ServiceError(`wrong accounts were answered: ${String(answered)}`);
    good('everybody else got the account that they asked for; the connection of the late answer is closed');
  }
}

/** Talks to the host as something that is no gateway would, such as a port scanner or the other variant. */
async function garbage(bank: { host: string; port: number }, framing: FramingName, host: Child): Promise<void> {
  const socket = connect(bank.port, bank.host);
  const closed = once(socket.resume(), 'close');
  socket.write(MALFORMED[framing]);
  print(`sent the bytes ${MALFORMED[framing].toString('hex')}`);
  await closed;
  await host.prints(/PTCP_FRAME_MALFORMED/);
  good('the host has closed that connection, and says which bytes were at fault');
}

function invitation(url: string): string[] {
  const body = JSON.stringify({ ...RENT, reference: 'MINE-1', purpose: 'mine' });
  return [
    `curl ${url}/accounts/1`,
    `curl ${url}/transfers -H 'content-type: application/json' -d '${body}'`,
    `curl ${url}/health`,
    `curl ${url}/pool`,
    'Ctrl-C lets the gateway sign off, and ends.',
  ];
}

function addressOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}

function cents(amount: string): number {
  return Number(amount.replace('.', ''));
}

export function heading(text: string): void {
  console.log(`\n${text}`);
}

function print(text: string): void {
  console.log(`  ${text}`);
}

function good(text: string): void {
  print(`✓ ${text}`);
}

export function bad(text: string): void {
  print(`✗ ${text}`);
}
