import { firstValueFrom } from 'rxjs';
import { WINDOW } from '../cmpp/parameters.js';
import type { Arrival } from '../sp/inbox.js';
import { ACCOUNTS } from './accounts.js';
import { Child } from './child.js';
import type { FromChild } from './messages.js';
import type { DemoOptions } from './options.js';
import { SecondSp, tryWrongSecret } from './second-sp.js';
import { WireLog } from './wire-log.js';

const LONG_TEXT =
  '您好！您的包裹已到达北京市海淀区中关村大街二十七号的自提点，取件码是八六二一九四，请于三日内凭取件码和有效证件领取。' +
  '如需改期或转寄，请回复本短信或拨打客服热线。感谢您的支持，祝您生活愉快！📦';

type ArrivalMessage = Extract<FromChild, { type: 'arrival' }>;

/** The demonstration, scene by scene. */
export class Play {
  readonly #options: DemoOptions;
  readonly #ismg: Child;
  #sp: Child | undefined;
  #second: SecondSp | undefined;

  constructor(options: DemoOptions) {
    this.#options = options;
    this.#ismg = this.#start('ismg', { CMPP_PORT: String(options.cmppPort) });
  }

  async run(): Promise<void> {
    console.log('CMPP 3.0 over a pool of long connections: an SP and an ISMG, two Nest applications\n');
    heading('1  CMPP_CONNECT on every connection of the pool');
    const ismg = await this.#ismg.ready();
    good(`the ISMG listens on ${ismg}`);
    const sp = this.#start('sp', { ISMG_ADDRESS: ismg, PORT: String(this.#options.port) });
    this.#sp = sp;
    const url = await sp.ready();
    good(`SP ${ACCOUNTS[0].sourceAddr} is logged in, and serves ${url}`);
    show(`with the wrong secret: ${await tryWrongSecret(ismg)}`);

    heading('2  CMPP_SUBMIT, and what becomes of it as CMPP_DELIVER');
    await this.#sendAndWait(sp, url, ['13800000001', '13800000100'], 'Your code is 271828');
    await this.#sendAndWait(sp, url, ['13800000001'], LONG_TEXT);
    await this.#refused(url);

    heading('3  A handset writes');
    this.#ismg.send({ type: 'write', from: '13800000001', to: `${ACCOUNTS[0].accessNumber}88`, text: '谢谢，收到了' });
    const [message] = await sp.take(1, isMessage);
    show(`SP ${ACCOUNTS[0].sourceAddr} ${describe(message)}`);

    heading('4  Each SP gets what is its own');
    await this.#secondSends(ismg);

    heading(`5  ${this.#options.messages} messages at once, at most ${WINDOW} unanswered on a connection, both ways`);
    await this.#burst(sp, url);

    heading('6  CMPP_ACTIVE_TEST from both ends');
    await sp.take(1, (m): m is Extract<FromChild, { type: 'link-tested' }> => m.type === 'link-tested');
    const { linkTestMs } = this.#options;
    good(`after ${linkTestMs} ms of silence (C; CMPP says 180 000) either end has asked, and has been answered`);
    if (this.#options.once) return;

    heading('Your turn');
    show(`curl ${url}/sms -H 'content-type: application/json' -d '{"to":["13800000001"],"text":"你好"}'`);
    show(`curl ${url}/inbox`);
    show(`curl ${url}/pool`);
    show('Ctrl-C says goodbye');
    await new Promise<never>(() => {});
  }

  /** The SP says goodbye, then the ISMG to who is left. @returns whether all went well */
  async close(): Promise<boolean> {
    heading('CMPP_TERMINATE: from the SP, then from the ISMG to who is left');
    const spIsWell = (await this.#sp?.stop()) ?? true;
    const ismgIsWell = await this.#ismg.stop();
    await this.#second?.close();
    if (spIsWell && ismgIsWell) good('both have ended');
    return spIsWell && ismgIsWell;
  }

  kill(): void {
    this.#sp?.kill();
    this.#ismg.kill();
    this.#second?.destroy();
  }

  #start(name: string, env: NodeJS.ProcessEnv): Child {
    const linkTest = { LINK_TEST_MS: String(this.#options.linkTestMs) };
    return new Child(name, { ...env, ...linkTest }, (line) => {
      console.log(`      ${name.padEnd(4)} | ${line}`);
    });
  }

  async #sendAndWait(sp: Child, url: string, to: readonly string[], text: string): Promise<void> {
    const msgIds = await post(url, to, text);
    good(`${text.length} characters to ${to.join(', ')}: Msg_Id ${msgIds.join(', ')}`);
    const reports = await sp.take(msgIds.length * to.length, isReportOf(msgIds));
    for (const report of reports) show(describe(report));
  }

  async #refused(url: string): Promise<void> {
    const response = await fetch(`${url}/sms`, request(['13800000001', '10000'], 'hi'));
    show(`to a number that is none: HTTP ${response.status} ${await response.text()}`);
  }

  async #secondSends(ismg: string): Promise<void> {
    const wire = new WireLog((line) => {
      console.log(`      ${ACCOUNTS[1].sourceAddr} | ${line}`);
    });
    const second = new SecondSp(ismg, wire);
    this.#second = second;
    const arrival = firstValueFrom(second.inbox.arrivals);
    const msgId = await second.send('13800000002', 'Hello from another SP');
    const report = await arrival;
    if (report.kind !== 'report' || report.msgId !== msgId) throw new Error('a report went to the wrong SP');
    good(`SP ${ACCOUNTS[1].sourceAddr} ${describe({ arrival: report })}`);
  }

  async #burst(sp: Child, url: string): Promise<void> {
    const { messages } = this.#options;
    const startedAt = performance.now();
    const sent = await Promise.all(
      Array.from({ length: messages }, (_, i) => post(url, ['13800000001'], `number ${i}`)),
    );
    const msgIds = sent.flat();
    const reports = await sp.take(messages, isReportOf(msgIds));
    const elapsedMs = Math.round(performance.now() - startedAt);
    const reported = new Set(reports.map(({ arrival }) => (arrival.kind === 'report' ? arrival.msgId : '')));
    if (reported.size !== messages) throw new Error(`${messages} messages, and reports of ${reported.size}`);
    good(`${messages} answered and ${reported.size} reported, each once, in ${elapsedMs} ms`);
    this.#ismg.send({ type: 'report' });
    const [answer] = await this.#ismg.take(1, (m): m is Extract<FromChild, { type: 'report' }> => m.type === 'report');
    const outbox = answer?.report.outboxes[ACCOUNTS[0].sourceAddr];
    if (answer === undefined || outbox === undefined) throw new Error('the ISMG has no account of its SP');
    show(
      `most unanswered on a connection: ${answer.report.mostInFlight} CMPP_SUBMIT, ${outbox.mostUnanswered} CMPP_DELIVER`,
    );
    show(`over ${outbox.connections} connections; CMPP_DELIVER: ${outbox.delivered} answered, ${outbox.failed} failed`);
    if (Math.max(answer.report.mostInFlight, outbox.mostUnanswered) > WINDOW) throw new Error('more than the window');
  }
}

async function post(url: string, to: readonly string[], text: string): Promise<readonly string[]> {
  const response = await fetch(`${url}/sms`, request(to, text));
  if (!response.ok) throw new Error(`the SP answered ${response.status}: ${await response.text()}`);
  return ((await response.json()) as { readonly msgIds: readonly string[] }).msgIds;
}

function request(to: readonly string[], text: string): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ to, text }) };
}

function isReportOf(msgIds: readonly string[]): (message: FromChild) => message is ArrivalMessage {
  const wanted = new Set(msgIds);
  return (message): message is ArrivalMessage =>
    message.type === 'arrival' && message.arrival.kind === 'report' && wanted.has(message.arrival.msgId);
}

function isMessage(message: FromChild): message is ArrivalMessage {
  return message.type === 'arrival' && message.arrival.kind === 'message';
}

function describe(message: { readonly arrival: Arrival } | undefined): string {
  if (message === undefined) return 'nothing';
  const { arrival } = message;
  return arrival.kind === 'report'
    ? `status report of ${arrival.msgId}: ${arrival.stat} to ${arrival.to}`
    : `gets “${arrival.text}” from ${arrival.from} at ${arrival.to}`;
}

function heading(text: string): void {
  console.log(`\n${text}`);
}

function good(text: string): void {
  console.log(`  ✓ ${text}`);
}

function show(text: string): void {
  console.log(`    ${text}`);
}
