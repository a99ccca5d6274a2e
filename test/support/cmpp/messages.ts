import type { Deliver } from '../../../sample/05-cmpp-gateway/cmpp/messages.js';

/** A CMPP_DELIVER in which nothing is set but its number. */
export function emptyDeliver(msgId: bigint): Deliver {
  return {
    msgId,
    destId: '',
    serviceId: '',
    tpPid: 0,
    tpUdhi: 0,
    msgFmt: 0,
    srcTerminalId: '',
    srcTerminalType: 0,
    registeredDelivery: 0,
    msgContent: Buffer.alloc(0),
    linkId: '',
  };
}
