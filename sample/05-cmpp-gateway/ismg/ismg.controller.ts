import { Controller, Logger } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { setTimeout as delay } from 'node:timers/promises';
import { PooledTcpContext } from '../../../lib/index.js';
import type { Connect, ConnectResp, DeliverResp, Submit, SubmitResp } from '../cmpp/messages.js';
import { CmppRefusal, RESULT, STATUS } from '../cmpp/results.js';
import { MobileNetwork } from './mobile-network.js';
import { ServiceProviders, type ServiceProvider } from './service-providers.js';
import { letGo, loginOf, rememberLogin, requireLogin, type SessionLogin } from './session-login.js';

/** The switch takes a moment for each message: long enough for windows to fill. */
const SWITCH_MS = 5;

/** What an ISMG does with what an SP sends. */
@Controller()
export class IsmgController {
  readonly #logger = new Logger('Ismg');
  readonly #providers: ServiceProviders;
  readonly #network: MobileNetwork;
  /** Most CMPP_SUBMITs that were in flight on one connection. */
  mostInFlight = 0;

  constructor(providers: ServiceProviders, network: MobileNetwork) {
    this.#providers = providers;
    this.#network = network;
  }

  @MessagePattern('connect')
  connect(@Payload() request: Connect, @Ctx() context: PooledTcpContext): ConnectResp {
    try {
      if (loginOf(context) !== undefined) throw new CmppRefusal(STATUS.other, 'this connection is logged in already');
      const { provider, answer } = this.#providers.login(request);
      this.#begin({ provider, inFlight: 0 }, context);
      return answer;
    } catch (error) {
      this.#logger.warn(`${context.getSession().peer} was not let in: ${(error as Error).message}`);
      letGo(context);
      throw error;
    }
  }

  @MessagePattern('submit')
  async submit(@Payload() request: Submit, @Ctx() context: PooledTcpContext): Promise<Partial<SubmitResp>> {
    const login = requireLogin(context);
    check(request, login.provider);
    login.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, login.inFlight);
    await delay(SWITCH_MS);
    login.inFlight -= 1;
    return { msgId: this.#network.carry(request, login.provider) };
  }

  /** The answer to a CMPP_DELIVER that this ISMG pushed. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-arguments -- without it Nest 12 takes the context for unknown
  @EventPattern<string>('deliver_resp')
  delivered(@Payload() answer: DeliverResp, @Ctx() context: PooledTcpContext): void {
    const login = loginOf(context);
    if (login?.line !== undefined) login.provider.outbox.answered(login.line, answer);
  }

  /** The SP has agreed to part. It closes the connection. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-arguments -- as above
  @EventPattern<string>('terminate_resp')
  terminated(@Payload() _: unknown, @Ctx() context: PooledTcpContext): void {
    this.#logger.debug(`${context.getSession().peer} answered CMPP_TERMINATE`);
  }

  #begin(login: SessionLogin, context: PooledTcpContext): void {
    rememberLogin(context, login);
    const session = context.getSession();
    const { outbox } = login.provider;
    let isOpen = true;
    context.getSocketRef().once('close', () => {
      isOpen = false;
      if (login.line !== undefined) outbox.detach(login.line);
    });
    // What waits for the SP must not overtake the answer to its CMPP_CONNECT.
    setImmediate(() => {
      if (!isOpen) return;
      login.line = outbox.attach((deliver) => {
        session.push('deliver', deliver);
      });
    });
  }
}

/** @throws CmppRefusal with a Result (CMPP 3.0, section 8.4.3.2) */
function check(request: Submit, { sourceAddr, accessNumber }: ServiceProvider): void {
  const { msgSrc, srcId, msgFmt, msgContent, destTerminalIds } = request;
  if (msgSrc !== sourceAddr) throw new CmppRefusal(RESULT.badMsgSrc, `Msg_src ${msgSrc} has not logged in here`);
  if (!srcId.startsWith(accessNumber))
    throw new CmppRefusal(RESULT.badSrcId, `Src_Id ${srcId} does not begin with ${accessNumber}`);
  if (msgContent.length > (msgFmt === 0 ? 159 : 140)) throw new CmppRefusal(RESULT.tooLong, 'Msg_Content is too long');
  if (!destTerminalIds.every((terminal) => /^1\d{10}$/.test(terminal)))
    throw new CmppRefusal(RESULT.badDestTerminal, 'Dest_terminal_Id is no number of a handset');
}
