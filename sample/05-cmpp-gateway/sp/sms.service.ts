import { Inject, Injectable } from '@nestjs/common';
import { InjectPool, type PooledTcpClient } from '../../../lib/index.js';
import type { Submit, SubmitResp } from '../cmpp/messages.js';
import { contentsOf } from '../cmpp/short-message.js';
import { SP_OPTIONS, type SpOptions } from './sp-options.js';

@Injectable()
export class SmsService {
  readonly #ismg: PooledTcpClient;
  readonly #options: SpOptions;
  #reference = 0;

  constructor(@InjectPool('ismg') ismg: PooledTcpClient, @Inject(SP_OPTIONS) options: SpOptions) {
    this.#ismg = ismg;
    this.#options = options;
  }

  /**
   * Sends a text, in parts where it is long, all of them at once over whichever connections are free.
   *
   * @returns the Msg_Id of each part
   * @throws PooledTcpError `PTCP_HANDLER_FAILED` with the ISMG's Result as `cause`
   */
  async send(to: readonly string[], text: string): Promise<readonly string[]> {
    const { sourceAddr, srcId } = this.#options;
    this.#reference = (this.#reference + 1) % 256;
    const answers = await Promise.all(
      contentsOf(text, this.#reference).map((content) => {
        const submit: Partial<Submit> = {
          ...content,
          registeredDelivery: 1,
          serviceId: 'SAMPLE',
          msgSrc: sourceAddr,
          feeType: '01',
          srcId,
          destTerminalIds: to,
        };
        return this.#ismg.request<SubmitResp>('submit', submit);
      }),
    );
    return answers.map(({ msgId }) => String(msgId));
  }
}
