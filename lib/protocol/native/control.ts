import { isErrorCode } from '../../errors/codes.js';
import { isRecord } from '../json.js';
import type { GoawayNotice } from '../messages.js';
import { violation } from '../protocol.js';
import { FRAGMENTS, TYPE } from './format.js';
import type { FragmentReceiver } from './fragment-receiver.js';
import type { FragmentSender } from './fragment-sender.js';
import type { FrameReader } from './native-decoder.js';
import type { NativeEncoder } from './native-encoder.js';

/** What either end hears about the connection itself. */
export interface ControlSink {
  ping(token: number): void;
  pong(token: number): void;
  goaway(notice: GoawayNotice): void;
  credit(id: number, bytes: number): void;
}

/** What both ends of a connection have for the messages that either may send. */
export interface ControlParts {
  readonly sink: ControlSink;
  readonly encoder: NativeEncoder;
  readonly fragmentsOut: FragmentSender;
  readonly fragmentsIn: FragmentReceiver;
}

/**
 * Takes the messages that either end may send.
 *
 * @param end the side that receives, for the error
 * @throws PooledTcpError `PTCP_PROTOCOL_VIOLATION` for any other type
 */
export function receiveControl(frame: FrameReader, parts: ControlParts, end: 'client' | 'server'): void {
  const { sink, encoder, fragmentsOut, fragmentsIn } = parts;
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
    case TYPE.credit: {
      const id = frame.uint32();
      const bytes = frame.uint32();
      if (id === FRAGMENTS) fragmentsOut.acknowledged(bytes);
      else sink.credit(id, bytes);
      return;
    }
    case TYPE.fragment: {
      const bytes = fragmentsIn.receive(frame);
      if (bytes > 0) writeCredit(encoder, FRAGMENTS, bytes);
      return;
    }
    default:
      throw violation(`a message of type ${frame.type} sent to a ${end}`);
  }
}

export function writeCredit(encoder: NativeEncoder, id: number, bytes: number): void {
  encoder.write(TYPE.credit, 0, 8, (slab, at) => slab.writeUInt32BE(bytes, slab.writeUInt32BE(id, at)));
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
