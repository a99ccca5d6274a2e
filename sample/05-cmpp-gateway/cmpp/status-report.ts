import { text, uint, uint64 } from './fields.js';
import { Layout, type ValuesOf } from './layout.js';

/** Msg_Content of a CMPP_DELIVER with Registered_Delivery 1 (CMPP 3.0, section 8.4.5.1): 71 bytes. */
export const REPORT = reportOf(32);

/** As in version 2.0, 60 bytes: some gateways send it over 3.0, too. */
const SHORT_REPORT = reportOf(21);
const SHORT_REPORT_BYTES = 60;

export type StatusReport = ValuesOf<typeof REPORT>;

/** @throws LayoutError that names the field */
export function readReport(content: Buffer): StatusReport {
  return (content.length === SHORT_REPORT_BYTES ? SHORT_REPORT : REPORT).decode(content);
}

/** YYMMDDHHMM of the local time. */
export function reportTime(time: Date): string {
  return [time.getFullYear() % 100, time.getMonth() + 1, time.getDate(), time.getHours(), time.getMinutes()]
    .map((part) => String(part).padStart(2, '0'))
    .join('');
}

function reportOf(terminalBytes: number) {
  return new Layout('status report', {
    /** What the ISMG called the message in its CMPP_SUBMIT_RESP. */
    msgId: uint64('Msg_Id'),
    /** DELIVRD, EXPIRED, DELETED, UNDELIV, ACCEPTD, UNKNOWN or REJECTD, as in SMPP. */
    stat: text('Stat', 7),
    submitTime: text('Submit_time', 10),
    doneTime: text('Done_time', 10),
    destTerminalId: text('Dest_terminal_Id', terminalBytes),
    smscSequence: uint('SMSC_sequence', 4),
  });
}
