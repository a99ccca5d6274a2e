import { Controller, Logger } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { PooledTcpContext } from '../../../lib/index.js';
import { MALFORMED, type Malformed } from '../wire/codec.js';
import type { Reply, Request } from '../wire/messages.js';
import { refusal } from '../wire/refusals.js';
import { STATION } from './signed-on.guard.js';

const STATIONS = new Set(['GATEWAY1', 'BRANCH07']);

/** Who talks on a connection. */
@Controller()
export class SessionController {
  readonly #logger = new Logger('Session');

  @MessagePattern('signOn')
  signOn(@Payload() { station }: Request<'signOn'>, @Ctx() context: PooledTcpContext): Reply<'signOn'> {
    if (!STATIONS.has(station)) throw refusal('58', 'unknown station');
    const { data, peer } = context.getSession();
    data.set(STATION, station);
    this.#logger.log(`${station} signed on from ${peer}`);
    return { host: 'CORE' };
  }

  @MessagePattern('signOff')
  signOff(@Ctx() context: PooledTcpContext): object {
    const { data, peer } = context.getSession();
    this.#logger.log(`${String(data.get(STATION))} signed off from ${peer}`);
    data.delete(STATION);
    return {};
  }

  /** The frame was whole and its fields were not: the peer's programmer learns which one. */
  @MessagePattern(MALFORMED)
  malformed(@Payload() { problem }: Malformed): never {
    throw refusal('30', problem);
  }
}
