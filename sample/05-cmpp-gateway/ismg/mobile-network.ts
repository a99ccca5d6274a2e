import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { MessageIds } from '../cmpp/message-id.js';
import { emptyDeliver, type Deliver, type Submit } from '../cmpp/messages.js';
import { contentsOf } from '../cmpp/short-message.js';
import { REPORT, reportTime } from '../cmpp/status-report.js';
import { ISMG_OPTIONS, type IsmgOptions } from './ismg-options.js';
import { ServiceProviders, type ServiceProvider } from './service-providers.js';

/** Number of this gateway in the Msg_Ids that it gives. */
const GATEWAY = 10_01;

/** What lies behind an ISMG, played: handsets that get messages, and write some. */
@Injectable()
export class MobileNetwork implements OnModuleDestroy {
  readonly #ids = new MessageIds(GATEWAY);
  readonly #providers: ServiceProviders;
  readonly #handsetMs: number;
  readonly #underway = new Set<NodeJS.Timeout>();
  #reference = 0;

  constructor(providers: ServiceProviders, @Inject(ISMG_OPTIONS) { handsetMs }: IsmgOptions) {
    this.#providers = providers;
    this.#handsetMs = handsetMs;
  }

  onModuleDestroy(): void {
    for (const timer of this.#underway) clearTimeout(timer);
  }

  /** Takes a message over. @returns its Msg_Id */
  carry(submit: Submit, { outbox }: ServiceProvider): bigint {
    const submittedAt = new Date();
    const msgId = this.#ids.next(submittedAt);
    this.#later(() => {
      if (submit.registeredDelivery !== 1) return;
      for (const terminal of submit.destTerminalIds) outbox.add(this.#report(submit, msgId, terminal, submittedAt));
    });
    return msgId;
  }

  /** A handset writes to the number of an SP. @returns whether there is one */
  write(from: string, to: string, text: string): boolean {
    const provider = this.#providers.ofNumber(to);
    if (provider === undefined) return false;
    this.#reference = (this.#reference + 1) % 256;
    for (const { msgFmt, tpUdhi, msgContent } of contentsOf(text, this.#reference)) {
      provider.outbox.add({
        ...emptyDeliver(this.#ids.next(new Date())),
        destId: to,
        srcTerminalId: from,
        msgFmt,
        tpUdhi,
        msgContent,
      });
    }
    return true;
  }

  /** Numbers that end in 00 cannot be reached. */
  #report({ srcId, serviceId }: Submit, msgId: bigint, terminal: string, submittedAt: Date): Deliver {
    const doneAt = new Date();
    return {
      ...emptyDeliver(this.#ids.next(doneAt)),
      destId: srcId,
      serviceId,
      srcTerminalId: terminal,
      registeredDelivery: 1,
      msgContent: REPORT.encode({
        msgId,
        stat: terminal.endsWith('00') ? 'UNDELIV' : 'DELIVRD',
        submitTime: reportTime(submittedAt),
        doneTime: reportTime(doneAt),
        destTerminalId: terminal,
      }),
    };
  }

  #later(work: () => void): void {
    const timer = setTimeout(() => {
      this.#underway.delete(timer);
      work();
    }, this.#handsetMs);
    this.#underway.add(timer);
  }
}
