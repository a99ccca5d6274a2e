import { Inject, Injectable, Logger } from '@nestjs/common';
import { authenticatorIsmg, authenticatorSource, isSame } from '../cmpp/authenticator.js';
import { type SpAccount } from '../cmpp/login.js';
import { VERSION, type Connect, type ConnectResp, type Deliver } from '../cmpp/messages.js';
import { ANSWER_TIMEOUT_MS, ATTEMPTS, WINDOW } from '../cmpp/parameters.js';
import { CmppRefusal, STATUS } from '../cmpp/results.js';
import { ISMG_OPTIONS, type IsmgOptions } from './ismg-options.js';
import { Outbox } from './outbox.js';

/** An SP that the ISMG knows. */
export interface ServiceProvider extends SpAccount {
  /** Numbers that begin with this are the SP's. */
  readonly accessNumber: string;
  readonly outbox: Outbox;
}

@Injectable()
export class ServiceProviders {
  readonly #logger = new Logger('Ismg');
  readonly #providers: readonly ServiceProvider[];

  constructor(@Inject(ISMG_OPTIONS) { accounts, answerTimeoutMs = ANSWER_TIMEOUT_MS }: IsmgOptions) {
    const onUnsendable = ({ msgId }: Deliver, error: unknown): void => {
      this.#logger.error(`CMPP_DELIVER ${msgId.toString()} cannot be sent: ${(error as Error).message}`);
    };
    const limits = { window: WINDOW, answerTimeoutMs, attempts: ATTEMPTS, maxWaiting: 10_000, onUnsendable };
    this.#providers = accounts.map((account) => ({ ...account, outbox: new Outbox(limits) }));
  }

  /**
   * Whose CMPP_CONNECT this is, and what it is answered with.
   *
   * @throws CmppRefusal with a Status (CMPP 3.0, section 8.4.1.2)
   */
  login(request: Connect): { readonly provider: ServiceProvider; readonly answer: ConnectResp } {
    const { sourceAddr, version, timestamp, authenticatorSource: shown } = request;
    if (version > VERSION) throw new CmppRefusal(STATUS.versionTooHigh, `version ${version} is spoken by nobody here`);
    const provider = this.#providers.find((candidate) => candidate.sourceAddr === sourceAddr);
    if (provider === undefined) throw new CmppRefusal(STATUS.badSourceAddr, `SP ${sourceAddr} is not known`);
    const { secret } = provider;
    if (!isSame(shown, authenticatorSource(sourceAddr, secret, timestamp)))
      throw new CmppRefusal(STATUS.badAuthenticator, `SP ${sourceAddr} does not know its secret`);
    if (version !== VERSION) throw new CmppRefusal(STATUS.other, `version ${version} is older than 3.0`);
    return {
      provider,
      answer: { status: STATUS.ok, authenticatorIsmg: authenticatorIsmg(STATUS.ok, shown, secret), version: VERSION },
    };
  }

  /** Whose number this is. */
  ofNumber(number: string): ServiceProvider | undefined {
    return this.#providers.find(({ accessNumber }) => number.startsWith(accessNumber));
  }

  [Symbol.iterator](): Iterator<ServiceProvider> {
    return this.#providers[Symbol.iterator]();
  }
}
