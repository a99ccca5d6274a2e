import { Injectable } from '@nestjs/common';
import { Subject } from 'rxjs';
import type { Deliver, DeliverResp } from '../cmpp/messages.js';
import { RESULT } from '../cmpp/results.js';
import { textOf } from '../cmpp/short-message.js';
import { readReport } from '../cmpp/status-report.js';

/** What became of a message to one handset. */
export interface ReportArrival {
  readonly kind: 'report';
  readonly msgId: string;
  readonly to: string;
  readonly stat: string;
}

/** What a handset wrote. */
export interface MessageArrival {
  readonly kind: 'message';
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

export type Arrival = ReportArrival | MessageArrival;

/** As many are kept. */
const KEPT = 1_000;

/** What the ISMG delivers to this SP. */
@Injectable()
export class Inbox {
  readonly arrivals = new Subject<Arrival>();
  readonly #kept: Arrival[] = [];

  /** The last to arrive is the last here. */
  get all(): readonly Arrival[] {
    return this.#kept;
  }

  /** Takes a CMPP_DELIVER; what it returns is the answer to it. */
  take(deliver: Deliver): DeliverResp {
    const { msgId } = deliver;
    let arrival: Arrival;
    try {
      arrival = read(deliver);
    } catch {
      return { msgId, result: RESULT.badStructure };
    }
    this.#kept.push(arrival);
    if (this.#kept.length > KEPT) this.#kept.shift();
    this.arrivals.next(arrival);
    return { msgId, result: RESULT.ok };
  }
}

/** @throws LayoutError for a report that is none */
function read(deliver: Deliver): Arrival {
  if (deliver.registeredDelivery !== 1)
    return { kind: 'message', from: deliver.srcTerminalId, to: deliver.destId, text: textOf(deliver) };
  const { msgId, destTerminalId, stat } = readReport(deliver.msgContent);
  return { kind: 'report', msgId: String(msgId), to: destTerminalId, stat };
}
