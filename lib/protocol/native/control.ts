import { isErrorCode } from '../../errors/codes.js';
import { isRecord } from '../json.js';
import type { GoawayNotice } from '../messages.js';
import { violation } from '../protocol.js';
import { TYPE } from './format.js';
import type { FrameReader } from './native-decoder.js';

/** What either end hears about the connection itself. */
export interface ControlSink {
  ping(token: number): void;
  pong(token: number): void;
  goaway(notice: GoawayNotice): void;
}

/**
 * Takes the messages that either end may send.
 *
 * @param end the side that receives, for the error
 * @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION` for any other type
 */
export function receiveControl(frame: FrameReader, sink: ControlSink, end: 'client' | 'server'): void {
  switch (frame.type) {
    case TYPE.ping:
      sink.ping(frame.uint32());
      return;
    case TYPE.pong:
      sink.pong(frame.uint32());
      return;
    case TYPE.goaway:
      sink.goaway(readGoaway(frame));
      return;
    default:
      throw violation(`a message of type ${frame.type} sent to a ${end}`);
  }
}

function readGoaway(frame: FrameReader): GoawayNotice {
  const notice = frame.payload();
  if (!isRecord(notice)) throw violation('a goaway without content');
  const code = notice['code'];
  return {
    code: isErrorCode(code) ? code : undefined,
    message: typeof notice['message'] === 'string' ? notice['message'] : 'no reason given',
  };
}
